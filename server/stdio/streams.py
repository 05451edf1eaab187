"""Stdin and stdout as the streams of an MCP server, without the threads that the SDK's own ones need for each line."""

from __future__ import annotations

import logging
import select
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from .connection import Connection

_log = logging.getLogger(__name__)

Incoming = MemoryObjectReceiveStream[SessionMessage | Exception]
Outgoing = MemoryObjectSendStream[SessionMessage]


@asynccontextmanager
async def open_pipes(connection: Connection) -> AsyncGenerator[tuple[Incoming, Outgoing]]:
    """What happened on the connection so far is told to the server first, as if it had answered itself."""
    to_server, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    outgoing, from_server = anyio.create_memory_object_stream[SessionMessage](0)
    repeated = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_read, connection, to_server, repeated)
        tasks.start_soon(_write, connection, from_server, repeated)
        yield incoming, outgoing


async def _read(
    connection: Connection, to_server: MemoryObjectSendStream[SessionMessage | Exception], repeated: anyio.Event
) -> None:
    with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
        async with to_server:
            for line in connection.replayed:
                await to_server.send(_message(line))
            if connection.replayed:
                await repeated.wait()
            for line in connection.waiting:
                await to_server.send(_message(line))
            while not connection.ended:
                await anyio.wait_readable(connection.reading)
                for line in connection.receive():
                    await to_server.send(_message(line))


def _message(line: str) -> SessionMessage | Exception:
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
    except Exception as error:  # the server passes over what is no message
        return error


async def _write(
    connection: Connection, from_server: MemoryObjectReceiveStream[SessionMessage], repeated: anyio.Event
) -> None:
    async with from_server:
        if connection.replayed:
            _compare(_line(await from_server.receive()), connection.answer_to_replayed)
            repeated.set()
        await _send(connection)
        async for message in from_server:
            connection.unsent = _line(message)
            await _send(connection)


def _line(message: SessionMessage) -> bytes:
    return message.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n"


async def _send(connection: Connection) -> None:
    while connection.unsent:
        if not select.select([], [connection.writing], [], 0)[1]:
            await anyio.wait_writable(connection.writing)
        connection.send_chunk()


def _compare(answer: bytes, prepared: bytes) -> None:
    if answer != prepared:
        _log.error("A prepared answer is not what the server would have answered. DECTHINGS_MCP_FRONT=0 helps.")
