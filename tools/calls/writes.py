"""A call that writes. Its outcome is looked up when the response is lost, and it is repeated where that is harmless."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any, Generic, TypeVar

import anyio

from ..decthings import (
    ApiError,
    DecthingsClient,
    DecthingsError,
    InvalidResponse,
    NoResponse,
    RequestInterrupted,
    SendProgress,
)
from ..results.errors import LostResponse, ToolFailure
from .outcomes import OutcomeLookup, Verify
from .progress import Progress
from .retries import retry
from .services import Services
from .time_limits import FINAL_CHECK_SHARE, OUTCOME_LOOKUP_SHARE, REPEAT_SHARE

T = TypeVar("T")

_log = logging.getLogger(__name__)

_PAUSES = (0.5, 1.0, 2.0, 4.0, 4.0)
"""Seconds before each repeat."""
_DAMAGED = 400
"""The HTTP status for a request that was damaged on its way."""


@dataclass(frozen=True)
class Write(Generic[T]):
    """One write. `name` is its name in the log, which has its outcome when it is cancelled."""

    name: str
    client: DecthingsClient
    services: Services
    progress: Progress
    sending: SendProgress
    method: Callable[[DecthingsClient, SendProgress], Awaitable[T]]
    verify: Verify[T]
    may_repeat: bool
    """Whether the same request, sent again, does no harm: a name makes sure that there is one model."""
    deadline: float
    """`time.monotonic()` at which the call must have ended; infinite for an upload."""

    async def run(self) -> tuple[T, dict[str, Any] | None]:
        """What the call returns, and the evidence if that had to be looked up.

        Raises:
            DecthingsError: nothing was done.
            LostResponse: the response was lost, and nothing was done or that could not be found out.
        """
        try:
            return await self._run()
        except anyio.get_cancelled_exc_class():
            self._report_cancellation()
            raise

    async def _run(self) -> tuple[T, dict[str, Any] | None]:
        try:
            return await self._send(), None
        except DecthingsError as error:
            if not error.may_have_acted and not (self.may_repeat and _is_accident(error)):
                raise
            self.sending.lost = error.may_have_acted
            lookup = self._lookup(error)
        return await (self._repeat if self.may_repeat else self._look)(lookup)

    async def _repeat(self, lookup: OutcomeLookup) -> tuple[T, dict[str, Any] | None]:
        """Looks for the outcome and sends the request again, in turns, until Decthings says something."""
        until = self._end()
        for repeat, pause in enumerate(_PAUSES, 1):
            if self.sending.lost:
                try:
                    return await self._look(lookup)
                except LostResponse as failure:
                    if not failure.may_repeat or not self._has_time(until, pause):
                        raise
            await self.progress.report_repeat()
            await anyio.sleep(pause)
            try:
                return await self._send_within(until), None
            except ApiError:
                if not self.sending.lost:
                    raise
                break  # Decthings refuses to do again what it has done: that may have settled it
            except DecthingsError as error:
                self.sending.lost = self.sending.lost or error.may_have_acted
                lookup.note_error(error)
                goes_on = repeat < len(_PAUSES) and _is_accident(error) and self._has_time(until, _PAUSES[repeat])
                if not (self.sending.lost or goes_on):
                    raise
        return await self._look(lookup)

    async def _look(self, lookup: OutcomeLookup) -> tuple[T, dict[str, Any] | None]:
        lookup.until = min(self._end(), monotonic() + self.services.call_seconds * OUTCOME_LOOKUP_SHARE)
        return await self.verify(lookup), lookup.evidence()

    async def _send(self) -> T:
        return await retry(
            lambda: self.method(self.client, self.sending),
            self.services.retry_seconds,
            on_retry=self.progress.report_retry,
        )

    async def _send_within(self, until: float) -> T:
        """Sends it again, with time left to look for the outcome. An upload may take as long as it makes progress."""
        if self.deadline == float("inf"):
            return await self._send()
        with anyio.move_on_after(until - monotonic() - self.services.call_seconds * FINAL_CHECK_SHARE):
            return await self._send()
        raise NoResponse("Decthings did not respond in time.")

    def _lookup(self, error: DecthingsError) -> OutcomeLookup:
        return OutcomeLookup(error, self.client, self.sending.started)

    def _end(self) -> float:
        """When to give up, a moment before the call must have ended."""
        seconds = self.services.call_seconds
        return min(self.deadline - seconds * 0.02, monotonic() + seconds)

    def _has_time(self, until: float, pause: float) -> bool:
        return until - monotonic() - pause > self.services.call_seconds * REPEAT_SHARE

    def _report_cancellation(self) -> None:
        if not self.sending.may_have_acted:
            _log.warning("%s was cancelled before Decthings took it: nothing was done", self.name)
        elif self.services.background is not None:
            lookup = self._lookup(NoResponse("All of it was sent."))
            lookup.pauses = (0.0, *lookup.pauses)  # a server that shuts down has time for one look at most
            lookup.until = monotonic() + self.services.call_seconds * OUTCOME_LOOKUP_SHARE
            self.services.background.start(lambda: self._log_outcome(lookup))

    async def _log_outcome(self, lookup: OutcomeLookup) -> None:
        try:
            await self.verify(lookup)
            _log.warning("%s was cancelled and done all the same: %s", self.name, lookup.evidence())
        except ToolFailure as failure:
            _log.warning("%s was cancelled. %s", self.name, failure)
        except anyio.get_cancelled_exc_class():
            _log.warning("%s was cancelled after all of it was sent: it may have been done", self.name)
            raise


def _is_accident(error: DecthingsError) -> bool:
    """Whether the request was broken off or damaged on its way, rather than refused."""
    damaged = isinstance(error, InvalidResponse) and error.status == _DAMAGED
    return damaged or isinstance(error, RequestInterrupted)
