"""Servers over stdio as processes, spoken to in single messages or in whole conversations."""

import json
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import support
from decthings_mcp.server.early_replies.generate import is_request, parse_message
from decthings_mcp.server.stdio.refusals import refusals
from mcp.shared.message import SessionMessage
from support import CREATE, pipe

WITHOUT_EARLY_REPLIES = {"DECTHINGS_MCP_EARLY_REPLIES": "0"}


def request(number: int | str, method: str, params: Any = ...) -> str:
    rest = {} if params is ... else {"params": params}
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, **rest}, ensure_ascii=False)


def notification(method: str, **rest: Any) -> str:
    return json.dumps({"jsonrpc": "2.0", "method": method, **rest})


def handshake(number: int | str = 1, version: str = "2025-11-25", **params: Any) -> str:
    info = {"name": "t", "version": "1"}
    return request(number, "initialize", {"protocolVersion": version, "capabilities": {}, "clientInfo": info, **params})


def envelope(version: str = "2026-07-28", **params: Any) -> dict[str, Any]:
    keys = ("io.modelcontextprotocol/protocolVersion", "io.modelcontextprotocol/clientCapabilities")
    return {**params, "_meta": dict(zip(keys, (version, {}), strict=True))}


def create_call(number: int, arguments: Mapping[str, Any] = CREATE, **params: Any) -> str:
    return request(number, "tools/call", {"name": "create_model", "arguments": arguments, **params})


INITIALIZED = notification("notifications/initialized")


_SHOW_MODULES_INSTEAD_OF_LOADING = """
import sys
from decthings_mcp.server import cli

def show(_):
    print(*sys.modules, file=sys.stderr, flush=True)
    raise SystemExit(0)

cli._load_server = show
cli.run(["--files", ".", "--tools", "find_models", "--sandbox", "--api-url", "https://localhost/v0"])
"""


def show_modules(cwd: Path, python: str = sys.executable, **variables: str) -> subprocess.CompletedProcess[str]:
    """What a server prints that ends when it would be imported: an early reply, if there is one, and, on stderr, the
    modules that are imported until then."""
    return subprocess.run(
        [python, "-c", _SHOW_MODULES_INSTEAD_OF_LOADING], input=handshake() + "\n{}\n", cwd=cwd,
        env=support.environment(**variables), text=True, capture_output=True, timeout=60, check=True,
    )  # fmt: skip


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


def keyed_process(
    upstream: support.Upstream, cwd: Path, *arguments: str, **variables: str
) -> AbstractContextManager[subprocess.Popen[str]]:
    """With a key for the upstream."""
    return process("--api-url", upstream.url, *arguments, cwd=cwd, DECTHINGS_API_KEY="k", **variables)


def send(running: subprocess.Popen[str], *messages: str) -> None:
    print(*messages, sep="\n", file=running.stdin, flush=True)


def receive(running: subprocess.Popen[str]) -> dict[str, Any]:
    return json.loads(pipe(running.stdout).readline())


def connect(running: subprocess.Popen[str]) -> dict[str, Any]:
    send(running, handshake())
    response = receive(running)
    send(running, INITIALIZED)
    return response["result"]


def expected_responses(line: str) -> int:
    """How many lines the server sends for a line. The SDK alone is silent where no request can be read."""
    if is_request(line):
        return 1
    item = parse_message(line)
    return len(refusals(line, item.message if isinstance(item, SessionMessage) else None))


@dataclass
class Transcript:
    """What a client sees: lines of stdout, the exit status, and the log without its times."""

    responses: list[str]
    status: int
    log: list[str]


def converse(
    lines: Sequence[str], cwd: Path, *options: str, at_once: bool = False, variables: Mapping[str, str] | None = None
) -> Transcript:
    """Until all requests have responses. Those to lines sent at once come in any order, so they are sorted."""
    with subprocess.Popen(
        support.server_command(*options), cwd=cwd, env=support.environment(**(variables or {})),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as running:  # fmt: skip
        responses: list[str] = []
        for some in [lines] if at_once else [[line] for line in lines]:
            pipe(running.stdin).write("".join(f"{line}\n" for line in some).encode())
            pipe(running.stdin).flush()
            responses += [
                pipe(running.stdout).readline().decode() for line in some for _ in range(expected_responses(line))
            ]
        rest, log = running.communicate(timeout=60)
        responses += rest.decode().splitlines(keepends=True)
    lines_of_log = [line.partition(" ")[2].partition(" ")[2] for line in log.decode().splitlines()]
    return Transcript(sorted(responses) if at_once else responses, running.returncode, lines_of_log)
