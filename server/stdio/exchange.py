"""The messages of a connection, between the SDK's stdio loop and the server: every request gets a response.

A line that no request can be read from gets an error. At the end of stdin, requests in progress have time to finish.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

import anyio
from anyio.abc import ObjectReceiveStream, ObjectSendStream
from mcp.shared.message import SessionMessage
from mcp_types import (
    CONNECTION_CLOSED,
    ErrorData,
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCNotification,
    JSONRPCRequest,
    JSONRPCResponse,
    RequestId,
)

from .refusals import refusals

_SECONDS_AFTER_END = 10.0


class Lines:
    """Lines of stdin, of which the SDK makes one item each, in the same order."""

    def __init__(self, source: AsyncIterable[str]) -> None:
        self._source = source
        self._read: deque[str] = deque()

    async def __aiter__(self) -> AsyncIterator[str]:
        async for line in self._source:
            self._read.append(line)
            yield line

    def line_of_next_item(self) -> str:
        return self._read.popleft()


class _InProgress:
    """Requests without a response: those of the client, and those of the server to the client."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.questions: list[RequestId] = []
        self._changed = anyio.Event()

    def note_received(self, message: JSONRPCMessage) -> None:
        if isinstance(message, JSONRPCRequest):
            self.requests.append(str(message.id))
        elif isinstance(message, JSONRPCNotification):
            if message.method == "notifications/cancelled":
                self._finish((message.params or {}).get("requestId"))
        elif message.id in self.questions:
            self.questions.remove(message.id)

    async def send(self, writer: Any, item: SessionMessage) -> None:
        message = item.message
        if isinstance(message, JSONRPCRequest):
            self.questions.append(message.id)
            self._changed.set()
        await writer.send(item)
        if isinstance(message, JSONRPCResponse | JSONRPCError):
            self._finish(message.id)

    def _finish(self, id_: Any) -> None:
        if str(id_) in self.requests:
            self.requests.remove(str(id_))
            self._changed.set()

    async def change(self) -> None:
        self._changed = anyio.Event()
        await self._changed.wait()


class Incoming(ObjectReceiveStream[SessionMessage | Exception]):
    """What the server receives."""

    def __init__(self, reader: Any, outgoing: Outgoing, lines: Lines) -> None:
        self._reader, self._outgoing, self._lines = reader, outgoing, lines
        self._in_progress = outgoing.in_progress
        self._deadline: float | None = None

    async def receive(self) -> SessionMessage | Exception:
        while self._deadline is None:
            try:
                item = await self._reader.receive()
            except anyio.EndOfStream:
                self._deadline = anyio.current_time() + _SECONDS_AFTER_END
                break
            message = item.message if isinstance(item, SessionMessage) else None
            errors = refusals(self._lines.line_of_next_item(), message)
            for error in errors:
                await self._outgoing.send(SessionMessage(error))
            if message is not None and not errors:
                self._in_progress.note_received(message)
                return item
        with anyio.CancelScope(deadline=self._deadline):
            return await self._refused_question()
        raise anyio.EndOfStream

    async def _refused_question(self) -> SessionMessage:
        """The response to a question that the client cannot reply to any more.

        Raises:
            EndOfStream: no request is in progress.
        """
        while self._in_progress.requests:
            if self._in_progress.questions:
                error = ErrorData(code=CONNECTION_CLOSED, message="Connection closed")
                return SessionMessage(JSONRPCError(jsonrpc="2.0", id=self._in_progress.questions.pop(), error=error))
            await self._in_progress.change()
        raise anyio.EndOfStream

    @property
    def seconds_left(self) -> float:
        """What is left of the time after the end of stdin."""
        return 0 if self._deadline is None else max(0.0, self._deadline - anyio.current_time())

    async def aclose(self) -> None:
        await self._reader.aclose()


class Outgoing(ObjectSendStream[SessionMessage]):
    """What the server sends."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer
        self.in_progress = _InProgress()

    async def send(self, item: SessionMessage) -> None:
        await self.in_progress.send(self._writer, item)

    async def aclose(self) -> None:
        await self._writer.aclose()
