"""uvicorn's HTTP/1.1 protocol with deadlines for slow clients.

head        the client must send the complete head of a request
body        after the response, the client must send the rest of the request
response    the client must read the response
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0
BODY_SECONDS = 5.0
RESPONSE_SECONDS = 30.0
_LAST_REQUEST_SECONDS = 1.0
_CLOSE = (b"connection", b"close")


class _Deadline:
    """A timer that can be cancelled."""

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None

    def start(self, seconds: float, act: Callable[[], None]) -> None:
        """Start the timer; a running one is not restarted."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(seconds, act)

    def cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _Transport:
    """A transport that is closed by a function of its protocol."""

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self._transport = transport
        self.close = close

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class DeadlineProtocol(H11Protocol):
    """One connection of a client."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._head, self._body, self._response = _Deadline(), _Deadline(), _Deadline()
        self._lingers = False

    def connection_made(self, transport: Any) -> None:
        self._close_transport = transport.close
        super().connection_made(cast("asyncio.Transport", _Transport(transport, self._close)))
        self._head.start(HEAD_SECONDS, self._close_transport)

    def _close(self) -> None:
        """Close when the rest of the body has been received: a client that is still sending would lose the response."""
        if self._lingers or self.conn.their_state is not h11.SEND_BODY:
            self._close_transport()
            return
        self._lingers = True
        self.transport.write_eof()

    def data_received(self, data: bytes) -> None:
        if self._lingers:
            return
        super().data_received(data)
        # Between requests, uvicorn's own timeout for idle connections applies until the first byte.
        if not self._is_busy() and self.conn.trailing_data[0]:
            self._head.start(HEAD_SECONDS, self._close_transport)
        else:
            self._head.cancel()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:
            self._body.start(BODY_SECONDS, self._close_if_body_is_missing)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._response.start(RESPONSE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._response.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        for deadline in (self._head, self._body, self._response):
            deadline.cancel()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Serve one last request on idle connections: a proxy may just be sending it.

        Responses say that their connection is closed, also those to requests that are in progress.
        """
        if _CLOSE not in self.server_state.default_headers:
            self.server_state.default_headers = [*self.server_state.default_headers, _CLOSE]
        if not self._is_busy():
            asyncio.get_running_loop().call_later(_LAST_REQUEST_SECONDS, self._close_if_idle)
        elif self.scope["method"] == "GET":
            self._close_transport()  # a stream for messages from the server never ends by itself
        else:
            cast("Any", self.cycle).default_headers = self.server_state.default_headers
            super().shutdown()

    def _close_if_idle(self) -> None:
        if not self._is_busy():
            self._close_transport()

    def _close_if_body_is_missing(self) -> None:
        self._body.cancel()
        if self.conn.their_state is h11.SEND_BODY:
            self._close_transport()

    def _is_busy(self) -> bool:
        cycle: Any = self.cycle  # None before the first request
        return cycle is not None and not cycle.response_complete
