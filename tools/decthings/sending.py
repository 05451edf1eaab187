"""Sending a request: its body in chunks, how far it has got, and what an interruption means."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from time import monotonic
from typing import cast

import httpx

from .blobs import Blob, chunks_of, size_of
from .errors import BlobChanged, ConnectionFailed, DecthingsError, InvalidRequest, NoResponse, RequestInterrupted

_SMALL_CHUNK, _LARGE_CHUNK = 1 << 16, 1 << 20
_FAST_CHUNK_SECONDS = 0.1
"""Chunks that are sent faster than this are made larger."""


OnSent = Callable[[int, int], Awaitable[None]]
"""Awaited with the number of bytes sent so far and the total number."""


class SendProgress:
    """How much of a request has been sent. `complete` becomes true when its last byte is given to the connection."""

    def __init__(self) -> None:
        self.on_sent: OnSent | None = None
        self.lost = False
        """Whether the response to an earlier request for the same was lost."""
        self.begin()

    def begin(self) -> None:
        self.started = monotonic()
        self.sent = 0
        self.complete = self.refused = False

    @property
    def may_have_acted(self) -> bool:
        """Whether the request may have had an effect."""
        return self.lost or (self.complete and not self.refused)


class RequestBody:
    """The body of a request: a frame, sent in chunks."""

    def __init__(self, head: bytes, blobs: Sequence[Blob], sending: SendProgress) -> None:
        self._parts: list[Blob] = [head, *blobs]
        self.sending = sending
        sending.begin()  # a retried call starts again
        self.size = sum(map(size_of, self._parts))

    def release(self) -> None:
        """Drop the parts now: httpx keeps request and response in a reference cycle until garbage collection."""
        self._parts = []

    async def __aiter__(self) -> AsyncIterator[bytes]:
        sending = self.sending
        try:
            async for chunk in self._paced():
                # Before the yield: what is given to the connection may arrive, whatever happens afterwards.
                sending.sent += len(chunk)
                sending.complete = sending.sent >= self.size
                yield chunk
                if sending.on_sent is not None:
                    await sending.on_sent(sending.sent, self.size)
        except BlobChanged:
            if not sending.complete:  # otherwise an empty file was last, and nothing is missing
                raise

    async def _paced(self) -> AsyncIterator[bytes]:
        """Chunks of a size that the connection sends quickly, so that a slow connection does not time out on one."""
        length = _SMALL_CHUNK
        async for chunk in chunks_of(self._parts):
            start = 0
            while start < len(chunk):
                part = chunk[start : start + length]
                start += len(part)
                started = monotonic()
                yield part
                taken = monotonic() - started
                length = (
                    min(length * 2, _LARGE_CHUNK) if taken < _FAST_CHUNK_SECONDS else max(length // 2, _SMALL_CHUNK)
                )


_CAUSES: dict[type[BaseException], str] = {
    httpx.ProxyError: "the proxy refused the connection",
    ssl.SSLCertVerificationError: "the server's certificate is not trusted (set SSL_CERT_FILE to trust another one)",
    ssl.SSLError: "the TLS handshake failed",
    socket.gaierror: "the host name was not found",
    ConnectionRefusedError: "the connection was refused",
}


def transport_error(error: Exception, sending: SendProgress) -> DecthingsError:
    """The error to raise for a request that failed with an error of httpx or a timeout."""
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError)):
        return ConnectionFailed(f"Could not connect to Decthings: {connect_error_reason(error)}.")
    if isinstance(error, httpx.LocalProtocolError):
        return InvalidRequest("The request could not be sent as HTTP.")
    if not sending.sent:
        return ConnectionFailed("Could not connect to Decthings: the connection timed out.")
    if sending.complete:
        return NoResponse(f"The request was sent, but no complete response was received ({_name(error)}).")
    return RequestInterrupted(
        f"The connection to Decthings was lost before the whole request was sent ({_name(error)})."
    )


def _name(error: Exception) -> str:
    # Only the class: the message of a connection error can contain hosts and proxies.
    return type(error).__name__


def connect_error_reason(error: BaseException) -> str:
    """Why the connection failed: a sentence for the first known cause in the chain."""
    cause: BaseException | None = error
    while cause is not None:
        for kind, reason in _CAUSES.items():
            if isinstance(cause, kind):
                return reason
        cause = cause.__cause__ or cause.__context__
    return "the connection timed out" if isinstance(error, httpx.TimeoutException) else _name(cast(Exception, error))
