"""A pool of HTTP clients for Decthings: one client, with one connection, for each concurrent call.

A single client for all calls would check every connection for each request, and ask the operating system about
each idle one; with many concurrent calls, each would take twice as long.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from time import monotonic
from types import TracebackType

import anyio
import httpx

from .errors import TooManyCalls

MAX_SHORT_CALLS = 64
MAX_LONG_CALLS = 200
"""The limits of concurrent calls. Long ones (uploads, methods that block) are counted apart, to not block others."""

_IDLE_SECONDS = 4
"""Shorter than servers keep a connection: if they close it just as a call starts, its response is lost.
Clients that were idle for longer are closed when the next call starts."""


class ClientPool:
    """HTTP clients that are reused; an async context manager that closes them."""

    def __init__(self, open_client: Callable[[], httpx.AsyncClient]) -> None:
        """Open the first client, so that an invalid configuration is found now.

        Args:
            open_client: opens a client that does not follow redirects.
        """
        self._open_client = open_client
        self._idle = deque([(monotonic(), open_client())])
        self._short_calls = anyio.Semaphore(MAX_SHORT_CALLS, fast_acquire=True)
        self._long_calls = anyio.Semaphore(MAX_LONG_CALLS, fast_acquire=True)

    async def __aenter__(self) -> ClientPool:
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self._close_idle_since(monotonic())

    @asynccontextmanager
    async def take(self, seconds: float, *, long_running: bool) -> AsyncGenerator[httpx.AsyncClient]:
        """Take a client for one call; it is closed if the call fails.

        Args:
            seconds: how long to wait while the limit of concurrent calls is reached.

        Raises:
            TooManyCalls: no other call ended in that time.
        """
        allowed = self._long_calls if long_running else self._short_calls
        try:
            allowed.acquire_nowait()
        except anyio.WouldBlock:
            await _wait(allowed, seconds)
        try:
            await self._close_idle_since(monotonic() - _IDLE_SECONDS)
            client = self._idle.pop()[1] if self._idle else self._open_client()
            try:
                yield client
            except BaseException:  # httpx can keep a connection that was cancelled while it was opened through a proxy
                await _close(client)
                raise
            self._idle.append((monotonic(), client))
        finally:
            allowed.release()

    async def _close_idle_since(self, moment: float) -> None:
        while self._idle and self._idle[0][0] <= moment:
            await _close(self._idle.popleft()[1])


async def _close(client: httpx.AsyncClient) -> None:
    with anyio.CancelScope(shield=True):
        await client.aclose()


async def _wait(allowed: anyio.Semaphore, seconds: float) -> None:
    try:
        with anyio.fail_after(seconds):
            await allowed.acquire()
    except TimeoutError as error:
        raise TooManyCalls("Too many concurrent calls to Decthings.") from error
