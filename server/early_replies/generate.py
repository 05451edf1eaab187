"""Writes the prepared replies as the server gives them: python -m decthings_mcp.server.early_replies.generate"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCNotification, JSONRPCRequest
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS

from ...tools.catalog import TOOLS
from ..app import create_server
from ..settings import Settings
from .messages import CAPABILITIES_KEY, VERSION_KEY
from .replies import FILE

_LISTS = ("tools/list", "prompts/list", "resources/list", "resources/templates/list")
_PACKAGES = ("decthings_mcp", "mcp", "mcp_types")
_MARK = '"tools":['


def document() -> str:
    return json.dumps(anyio.run(_collect), ensure_ascii=False, indent=1) + "\n"


async def _collect() -> dict[str, Any]:
    texts: dict[str, int] = {}
    results: dict[str, dict[str, int | list[int]]] = {}
    for of in [*HANDSHAKE_PROTOCOL_VERSIONS, *MODERN_PROTOCOL_VERSIONS]:
        results[of] = {}
        for method, parts in (await _results(of)).items():
            places = [texts.setdefault(part, len(texts)) for part in parts]
            results[of][method] = places if method == "tools/list" else places[0]
    return {
        "madeWith": {name: version(name) for name in _PACKAGES},
        "handshakes": list(HANDSHAKE_PROTOCOL_VERSIONS),
        "tools": {tool.name: tool.effect.reads_only for tool in TOOLS},
        "results": results,
        "texts": list(texts),
    }


async def _results(of: str) -> dict[str, list[str]]:
    """Of each method, in parts: only the list of tools has more than one."""
    async with _connected(Settings(), of) as client:
        opening = await client.open()
        results = {method: [await client.ask(method)] for method in _LISTS}
        if client.shakes_hands:
            results["ping"] = [await client.ask("ping")]
    parts = [await _list_with(of, [tool.name]) for tool in TOOLS]
    before, after = (await _list_with(of, [])).split(_MARK)
    tools = [part.removeprefix(before + _MARK).removesuffix(after) for part in parts]
    if f"{before}{_MARK}{','.join(tools)}{after}" != results["tools/list"][0]:
        raise RuntimeError("the list of tools is more than its tools")
    return {**opening, **results, "tools/list": [before + _MARK, *tools, after]}


async def _list_with(of: str, tools: Sequence[str]) -> str:
    # No names mean all tools: none is what is left when a tool that writes has to be a reading one.
    settings = Settings(tools=tools) if tools else Settings(tools=["create_model"], read_only=True)
    async with _connected(settings, of) as client:
        await client.open()
        return await client.ask("tools/list")


class _Client:
    def __init__(
        self,
        of: str,
        sending: MemoryObjectSendStream[SessionMessage | Exception],
        receiving: MemoryObjectReceiveStream[SessionMessage],
    ) -> None:
        self.shakes_hands = of in HANDSHAKE_PROTOCOL_VERSIONS
        self._version, self._sending, self._receiving = of, sending, receiving

    async def open(self) -> dict[str, list[str]]:
        if not self.shakes_hands:
            return {"server/discover": [await self.ask("server/discover")]}
        info = {"name": "prepare", "version": "1"}
        result = await self.ask(
            "initialize", {"protocolVersion": self._version, "capabilities": {}, "clientInfo": info}
        )
        initialized = JSONRPCNotification(jsonrpc="2.0", method="notifications/initialized")
        await self._sending.send(SessionMessage(initialized))
        return {"initialize": [result]}

    async def ask(self, method: str, params: dict[str, Any] | None = None) -> str:
        """The result as it would stand in the line."""
        if not self.shakes_hands:
            params = {"_meta": {VERSION_KEY: self._version, CAPABILITIES_KEY: {}}}
        await self._sending.send(SessionMessage(JSONRPCRequest(jsonrpc="2.0", id=1, method=method, params=params)))
        message = (await self._receiving.receive()).message
        line = message.model_dump_json(by_alias=True, exclude_unset=True)
        before = '{"jsonrpc":"2.0","id":1,"result":'
        if not line.startswith(before):
            raise RuntimeError(f"{method} is not answered: {line}")
        return line.removeprefix(before)[:-1]


@asynccontextmanager
async def _connected(settings: Settings, of: str) -> AsyncGenerator[_Client]:
    sending, incoming = anyio.create_memory_object_stream[SessionMessage | Exception]()
    outgoing, receiving = anyio.create_memory_object_stream[SessionMessage]()
    lowlevel = create_server(settings)._lowlevel_server  # pyright: ignore[reportPrivateUsage]
    async with anyio.create_task_group() as tasks, receiving, sending:
        tasks.start_soon(lowlevel.run, incoming, outgoing, lowlevel.create_initialization_options())
        yield _Client(of, sending, receiving)
        await sending.aclose()


if __name__ == "__main__":
    Path(FILE).write_text(document(), encoding="utf-8")
