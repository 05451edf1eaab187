"""Writes the prepared results as the server gives them: python -m decthings_mcp.server.early_replies.generate"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import anyio
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCRequest, jsonrpc_message_adapter
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS

from ...tools.calls.mcp_internals import lowlevel_server
from ..app import create_server
from ..protocol import LIST_METHODS
from ..settings import Settings
from .installed import PACKAGES
from .messages import CAPABILITIES_KEY, VERSION_KEY
from .replies import FILE

_INITIALIZED = '{"jsonrpc":"2.0","method":"notifications/initialized"}'


def document() -> str:
    texts: dict[str, int] = {}
    results = {
        of: {method: texts.setdefault(text, len(texts)) for method, text in _results(of).items()}
        for of in [*HANDSHAKE_PROTOCOL_VERSIONS, *MODERN_PROTOCOL_VERSIONS]
    }
    prepared = {
        "generatedWith": {name: version(name) for name in PACKAGES},
        "handshakes": list(HANDSHAKE_PROTOCOL_VERSIONS),
        "results": results,
        "texts": list(texts),
    }
    return json.dumps(prepared, ensure_ascii=False, indent=1) + "\n"


def _results(protocol_version: str) -> dict[str, str]:
    """The result of each method as JSON, in the server's own bytes."""
    requests = _requests(protocol_version)
    lines = [json.dumps({"jsonrpc": "2.0", "id": 1, "method": name, "params": requests[name]}) for name in requests]
    if "initialize" in requests:
        lines.insert(1, _INITIALIZED)
    responses = [response.decode() for response in anyio.run(server_responses, lines) if response]
    return {name: _result(response) for name, response in zip(requests, responses, strict=True)}


def _requests(protocol_version: str) -> dict[str, Any]:
    """The parameters of each method."""
    if protocol_version in MODERN_PROTOCOL_VERSIONS:
        meta: dict[str, Any] = {VERSION_KEY: protocol_version, CAPABILITIES_KEY: {}}
        return {method: {"_meta": meta} for method in ("server/discover", *LIST_METHODS)}
    info = {"name": "generate", "version": "1"}
    handshake = {"protocolVersion": protocol_version, "capabilities": {}, "clientInfo": info}
    return {"initialize": handshake, **{method: {} for method in (*LIST_METHODS, "ping")}}


def _result(response: str) -> str:
    start, end = '{"jsonrpc":"2.0","id":1,"result":', "}\n"
    if not response.startswith(start):
        raise RuntimeError(f"not a result: {response}")
    return response.removeprefix(start).removesuffix(end)


async def server_responses(lines: Sequence[str]) -> list[bytes]:
    """The response of the server to each line, with its line end: empty where there is none."""
    to_server, incoming = anyio.create_memory_object_stream[SessionMessage | Exception]()
    outgoing, from_server = anyio.create_memory_object_stream[SessionMessage]()
    lowlevel = lowlevel_server(create_server(Settings()))
    responses: list[bytes] = []
    async with anyio.create_task_group() as tasks, from_server, to_server:
        tasks.start_soon(lowlevel.run, incoming, outgoing, lowlevel.create_initialization_options())
        for line in lines:
            await to_server.send(parse_message(line))
            responses.append(_line(await from_server.receive()) if is_request(line) else b"")
        await to_server.aclose()
    return responses


def parse_message(line: str) -> SessionMessage | Exception:
    """The message in a line as the SDK's stdio loop reads it."""
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValueError as error:
        return error


def is_request(line: str) -> bool:
    """Whether the server responds to the line."""
    message = parse_message(line)
    return isinstance(message, SessionMessage) and isinstance(message.message, JSONRPCRequest)


def _line(message: SessionMessage) -> bytes:
    return message.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n"


if __name__ == "__main__":
    Path(FILE).write_text(document(), encoding="utf-8")
