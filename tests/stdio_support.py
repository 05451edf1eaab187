"""Servers over stdio as processes, spoken to in single messages."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import support

ARGUMENTS: dict[str, Any] = {"name": "n", "description": "d", "options": {"type": "code", "language": "go"}}

INITIALIZE: dict[str, Any] = {
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}  # fmt: skip

MODERN = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}


@contextmanager
def process(*arguments: str, cwd: Path, **variables: str) -> Generator[subprocess.Popen[str]]:
    with subprocess.Popen(
        support.server_command(*arguments), cwd=cwd, env=support.environment(**variables), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as running:  # fmt: skip
        try:
            yield running
        finally:
            running.kill()


def send(running: subprocess.Popen[str], *messages: dict[str, Any]) -> None:
    assert running.stdin is not None
    for message in messages:
        running.stdin.write(json.dumps(message) + "\n")
    running.stdin.flush()


def receive(running: subprocess.Popen[str]) -> dict[str, Any]:
    assert running.stdout is not None
    return json.loads(running.stdout.readline())


def connect(running: subprocess.Popen[str]) -> dict[str, Any]:
    send(running, INITIALIZE)
    answer = receive(running)
    send(running, {"jsonrpc": "2.0", "method": "notifications/initialized"})
    return answer["result"]


def modern(method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 7, "method": method, "params": {**params, "_meta": MODERN}}
