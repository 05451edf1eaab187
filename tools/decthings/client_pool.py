"""ClientPool to Decthings: as many HTTP clients as there are calls at a time, each with a connection of its own.

One client for all looks at every connection, and asks the operating system about each that is idle, for each
request; a call among many would take twice as long.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from time import monotonic
from types import TracebackType

import anyio
import httpx

from .errors import ApiError, TooManyCalls

MAX_SHORT_CALLS = 64
MAX_LONG_CALLS = 200
"""Calls at a time: those that last, uploads and methods that block, would hold up all others."""

_IDLE_SECONDS = 4
"""Shorter than servers keep a connection: one that they close just as a call begins costs the call its answer.
Whoever was idle for longer is closed when the next call begins."""


class ClientPool:
    def __init__(self, open_client: Callable[[], httpx.AsyncClient]) -> None:
        """
        Args:
            open_client: its clients must not follow redirects. It is called once here, so that what cannot be
                set up shows.
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
        """
        Args:
            seconds: to wait for one.

        Raises:
            TooManyCalls: none became free.
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
            except ApiError:  # an answer like others
                self._idle.append((monotonic(), client))
                raise
            except BaseException:  # httpx can keep what was cancelled on the way through a proxy
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
        raise TooManyCalls("This server has as many calls under way as it makes at a time.") from error
