"""Conversations with the server, line by line, and with what the SDK makes of them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import support
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from decthings_mcp.server.app import create_server
from decthings_mcp.server.settings import Settings
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCRequest, jsonrpc_message_adapter

WITHOUT_FRONT = {"DECTHINGS_MCP_FRONT": "0"}


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


def parse_if_json(line: str) -> SessionMessage | Exception:
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValueError as error:
        return error


def is_request(line: str) -> bool:
    """Whether there is an answer to wait for."""
    message = parse_if_json(line)
    return isinstance(message, SessionMessage) and isinstance(message.message, JSONRPCRequest)


@dataclass
class Told:
    """What a client sees: lines of stdout, the exit status, and what stands in the log but for the time."""

    answers: list[str]
    status: int
    log: list[str]


def converse(
    lines: Sequence[str], cwd: Path, *options: str, at_once: bool = False, variables: Mapping[str, str] | None = None
) -> Told:
    """Until all is answered. Answers to what was sent at once come in any order, so they are sorted."""
    with subprocess.Popen(
        support.server_command(*options), cwd=cwd, env=support.environment(**(variables or {})),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as running:  # fmt: skip
        assert running.stdin is not None
        assert running.stdout is not None
        answers: list[str] = []
        for some in [lines] if at_once else [[line] for line in lines]:
            running.stdin.write("".join(f"{line}\n" for line in some).encode())
            running.stdin.flush()
            answers += [running.stdout.readline().decode() for line in some if is_request(line)]
        rest, log = running.communicate(timeout=20)
        answers += rest.decode().splitlines(keepends=True)
    told = [line.partition(" ")[2].partition(" ")[2] for line in log.decode().splitlines()]
    return Told(sorted(answers) if at_once else answers, running.returncode, told)


class Sdk:
    """The server in this process, told one line after the other."""

    def __init__(
        self,
        sending: MemoryObjectSendStream[SessionMessage | Exception],
        receiving: MemoryObjectReceiveStream[SessionMessage],
    ) -> None:
        self._sending, self._receiving = sending, receiving

    async def tell(self, line: str) -> bytes:
        """The answer, with its line end, if there is one."""
        await self._sending.send(parse_if_json(line))
        if not is_request(line):
            return b""
        message = (await self._receiving.receive()).message
        return message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n"


async def answers_of_sdk(lines: Sequence[str]) -> list[bytes]:
    sending, incoming = anyio.create_memory_object_stream[SessionMessage | Exception]()
    outgoing, receiving = anyio.create_memory_object_stream[SessionMessage]()
    answers: list[bytes] = []
    lowlevel = create_server(Settings())._lowlevel_server  # pyright: ignore[reportPrivateUsage]
    async with anyio.create_task_group() as tasks, receiving, sending:
        tasks.start_soon(lowlevel.run, incoming, outgoing, lowlevel.create_initialization_options())
        sdk = Sdk(sending, receiving)
        answers += [await sdk.tell(line) for line in lines]
        await sending.aclose()
    return answers
