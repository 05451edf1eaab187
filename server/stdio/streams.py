"""Stdin and stdout for the SDK's stdio loop, without the threads that files need for each line."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import asynccontextmanager
from typing import Any

import anyio
from mcp.server.stdio import stdio_server

from .connection import Connection, ready
from .exchange import Incoming, Lines, Outgoing

_log = logging.getLogger(__name__)


@asynccontextmanager
async def open_streams(connection: Connection | None) -> AsyncGenerator[tuple[Incoming, Outgoing]]:
    """Streams of messages over `connection`.

    Args:
        connection: None for stdin and stdout that cannot be awaited, such as files and what Windows has: the SDK reads
            and writes them in threads.
    """
    stdout: Any = None if connection is None else _Output(connection)
    lines = Lines(_open_stdin() if connection is None else _Input(connection, stdout))
    stdin: Any = lines  # the loop uses nothing of an AsyncFile but what these have
    async with stdio_server(stdin, stdout) as (reader, writer):
        outgoing = Outgoing(writer)
        yield Incoming(reader, outgoing, lines), outgoing


def _open_stdin() -> AsyncIterable[str]:
    """The lines of stdin. From now on, whatever else reads stdin reads nothing, as with the SDK's own file."""
    descriptor = os.dup(sys.stdin.fileno())
    substitute = os.open(os.devnull, os.O_RDONLY)
    os.dup2(substitute, sys.stdin.fileno())
    os.close(substitute)
    # It is not closed at the end: a thread may still read it.
    return anyio.wrap_file(os.fdopen(descriptor, encoding="utf-8", errors="replace", closefd=False))


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
