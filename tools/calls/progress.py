"""Progress notifications whose values only rise, and that come no more often than a person can read."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import TypeVar

import anyio

from ..decthings import DecthingsError
from ..results.errors import ToolFailure

T = TypeVar("T")

_INTERVAL = 0.5

Report = Callable[[float, float | None, str | None], Awaitable[None]]
"""Awaited with the value, the total and a sentence."""


class Progress:
    """Reports by the MCP context, which sends nothing to a client that did not ask for progress, or not at all."""

    def __init__(self, report: Report | None) -> None:
        self._report = report or _report_nothing
        self._value = 0.0
        self._sent_at = float("-inf")

    async def __call__(self, value: float, total: float | None = None, message: str | None = None) -> None:
        now = monotonic()
        if value <= self._value or (value != total and now - self._sent_at < _INTERVAL):
            return
        self._value, self._sent_at = value, now
        await self._report(value, total, message)

    async def report_retry(self, seconds: float) -> None:
        """Reports that a call was refused and is retried; the value goes on from where it was."""
        self._value += 0.001
        message = f"Decthings could not take the call; trying again in {seconds:.0f} s."
        await self._report(self._value, None, message)

    async def report_repeat(self) -> None:
        """Reports that a request is sent again whose response was lost."""
        self._value += 0.001
        await self._report(self._value, None, "Decthings' response was lost; sending it again.")

    async def while_waiting(
        self, seconds: float, method: Callable[[], Awaitable[T]], *, ends_itself: bool = False
    ) -> T | None:
        """What `method` returns, with its time reported meanwhile; None when the seconds are over.

        Args:
            ends_itself: whether it is not ended when they are, since it ends about then.

        Raises:
            DecthingsError, ToolFailure
        """
        result: T | None = None
        failure: DecthingsError | ToolFailure | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._report_elapsed, seconds)
            with anyio.move_on_after(math.inf if ends_itself else seconds):
                try:
                    result = await method()
                except (DecthingsError, ToolFailure) as error:  # the task group would wrap it
                    failure = error
            tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure
        return result

    async def _report_elapsed(self, seconds: float) -> None:
        started = monotonic()
        while True:
            waited = monotonic() - started
            await self(round(waited, 1), seconds, f"Waiting for the model for {waited:.0f} s.")
            await anyio.sleep(1)


async def _report_nothing(_value: float, _total: float | None, _message: str | None) -> None:
    pass
