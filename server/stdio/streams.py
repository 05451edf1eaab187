"""Stdin and stdout for the SDK's stdio loop, without the threads that its own files need for each line."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from typing import Any

import anyio
from mcp.server.stdio import stdio_server

from .connection import Connection, ready

_log = logging.getLogger(__name__)


def open_streams(connection: Connection) -> Any:
    """The SDK's streams of messages over `connection`, as a context manager."""
    output = _Output(connection)
    stdin: Any = _Input(connection, output)  # the loop uses nothing of an AsyncFile but what these have
    stdout: Any = output
    return stdio_server(stdin, stdout)


class _Output:
    """Stdout. The server's response to a handshake that has an early reply is not sent again."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.handshake_done = anyio.Event()
        if not connection.handshake_lines:
            self.handshake_done.set()

    async def write(self, line: str) -> None:
        if self.handshake_done.is_set():
            self._connection.unsent += line.encode()
            return
        if line.encode() != self._connection.handshake_response:
            _log.error(
                "An early reply differs from the server's own response. Set DECTHINGS_MCP_EARLY_REPLIES=0 to work "
                "around it."
            )
        self.handshake_done.set()

    async def flush(self) -> None:
        while self._connection.unsent:
            if not ready(writing=[self._connection.writing], wait=False):
                await anyio.wait_writable(self._connection.writing)
            self._connection.send_chunk()


class _Input:
    """Stdin. The lines of a handshake that has an early reply come first, for the server to know of it."""

    def __init__(self, connection: Connection, output: _Output) -> None:
        self._connection, self._output = connection, output

    async def __aiter__(self) -> AsyncGenerator[str]:
        for line in self._connection.handshake_lines:
            yield line
        await self._output.handshake_done.wait()
        for line in self._connection.waiting:
            yield line
        while not self._connection.ended:
            await anyio.wait_readable(self._connection.reading)
            for line in self._connection.receive():
                yield line
