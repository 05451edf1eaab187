"""One HTTP connection: uvicorn's, with an end to all patience.

head      a request's head comes to its end
body      what is left of a request comes, once it is answered
answer    the client takes what it is sent
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0
BODY_SECONDS = 2.0
ANSWER_SECONDS = 30.0
_LAST_REQUEST_SECONDS = 1.0
_CLOSE = (b"connection", b"close")


class _Deadline:
    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None

    def start(self, seconds: float, act: Callable[[], None]) -> None:
        """Once: one that runs already goes on."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(seconds, act)

    def cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class DeadlineProtocol(H11Protocol):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._head, self._body, self._answer = _Deadline(), _Deadline(), _Deadline()

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._head.start(HEAD_SECONDS, self.transport.close)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        # Between requests uvicorn's own time-out for idle connections holds, until the first byte.
        if not self._is_busy() and self.conn.trailing_data[0]:
            self._head.start(HEAD_SECONDS, self.transport.close)
        else:
            self._head.cancel()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:
            self._body.start(BODY_SECONDS, self._close_if_body_is_missing)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._answer.start(ANSWER_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._answer.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        for deadline in (self._head, self._body, self._answer):
            deadline.cancel()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """A proxy may be sending on a connection that it has kept: that request is still served, and is the last."""
        if _CLOSE not in self.server_state.default_headers:
            self.server_state.default_headers = [*self.server_state.default_headers, _CLOSE]
        if not self._is_busy():
            asyncio.get_running_loop().call_later(_LAST_REQUEST_SECONDS, self._close_if_idle)
        elif self.scope["method"] == "GET":
            self.transport.close()  # a stream for messages from the server never ends by itself
        else:
            super().shutdown()

    def _close_if_idle(self) -> None:
        if not self._is_busy():
            self.transport.close()

    def _close_if_body_is_missing(self) -> None:
        self._body.cancel()
        if self.conn.their_state is h11.SEND_BODY:
            self.transport.close()

    def _is_busy(self) -> bool:
        cycle: Any = self.cycle  # None before the first request
        return cycle is not None and not cycle.response_complete
