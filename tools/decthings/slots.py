"""How many requests are with the HTTP client at a time.

It looks through all that wait and all idle connections for each request, and becomes slow when they are many.
Those that last, uploads and methods that block, have slots of their own: they would hold up all others.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio

from .errors import TooManyCalls

QUICK = 16
LASTING = 200


class Slots:
    def __init__(self) -> None:
        self._quick = anyio.Semaphore(QUICK, fast_acquire=True)
        self._lasting = anyio.Semaphore(LASTING, fast_acquire=True)

    @asynccontextmanager
    async def take(self, seconds: float, *, lasting: bool) -> AsyncGenerator[None]:
        """
        Args:
            seconds: to wait for one.

        Raises:
            TooManyCalls: none became free.
        """
        slots = self._lasting if lasting else self._quick
        try:
            slots.acquire_nowait()
        except anyio.WouldBlock:
            await _wait(slots, seconds)
        try:
            yield
        finally:
            slots.release()


async def _wait(slots: anyio.Semaphore, seconds: float) -> None:
    try:
        with anyio.fail_after(seconds):
            await slots.acquire()
    except TimeoutError as error:
        raise TooManyCalls("This server has as many calls under way as it makes at a time.") from error
