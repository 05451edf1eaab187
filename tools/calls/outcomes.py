"""What became of a call whose answer was lost, or that was cancelled: looked up before anything is said.

All of the request was handed over and no usable answer came, so Decthings may have acted or not.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from time import monotonic
from typing import Any, TypeVar

import anyio

from ..decthings import DecthingsClient, DecthingsError, InvalidResponse, NoResponse, SendProgress, types
from ..results.errors import LostResponse, ToolFailure
from ..results.tool_result import code_of
from .progress import Progress
from .retries import retry
from .services import Services
from .time_limits import OUTCOME_LOOKUP_SHARE

T = TypeVar("T")

_log = logging.getLogger(__name__)

_PAUSES = (0.0, 0.5, 1.0, 2.0)
"""Seconds before each look: what was just made can take a moment to be listed."""
_LOOK_SECONDS = 3.0
_CLOCK_SLACK_MS = 2_000
"""A Date header has whole seconds, and travels for a while."""


class OutcomeLookup:
    """Looks for what a call did, with the evidence: how long, how often Decthings answered, what there was."""

    def __init__(self, error: DecthingsError, client: DecthingsClient, begun: float, seconds: float) -> None:
        """
        Args:
            error: why it is not known what became of the call.
            begun: `time.monotonic()` when the call began.
            seconds: how long to look.
        """
        self._error = error
        self._client = client
        self._begun = begun
        self._started = monotonic()
        self._until = self._started + seconds
        self._answers = 0
        self.request_at: float | None = None
        """The moment of the call on Decthings' clock, in milliseconds since 1970: what is older was there before."""

    async def models(self, narrowed: types.Filter) -> AsyncGenerator[list[dict[str, Any]]]:
        """What Decthings lists, look after look."""
        for pause in _PAUSES:
            await anyio.sleep(pause)
            left = self._until - monotonic()
            if left <= 0:
                return
            try:
                with anyio.fail_after(min(_LOOK_SECONDS, left)):
                    found = (await self._client.get_models({"filter": narrowed}, self._note_date))["models"]
            except (DecthingsError, TimeoutError):
                continue
            self._answers += 1
            yield found

    def _note_date(self, server_ms: float) -> None:
        self.request_at = server_ms - (monotonic() - self._begun) * 1000 - _CLOCK_SLACK_MS

    def is_from_this_call(self, created_at: Any) -> bool | None:
        """Whether something was made since the call began; None when that cannot be told."""
        if not isinstance(created_at, (int, float)) or self.request_at is None:
            return None
        return created_at >= self.request_at

    def evidence(self, **found: Any) -> dict[str, Any]:
        return {"seconds": round(monotonic() - self._started, 1), "answers": self._answers, **found}

    def not_applied(self, message: str, next_step: str, **found: Any) -> LostResponse:
        return LostResponse(code_of(self._error), message, next_step, {"lookUp": self.evidence(**found)})

    def unknown(self, finding: str, next_step: str = "", **found: Any) -> LostResponse:
        """
        Args:
            finding: a sentence on what the looks have shown.
        """
        if not self._answers:
            finding = "Decthings did not answer the look-ups either."
        status = {"httpStatus": self._error.status} if isinstance(self._error, InvalidResponse) else {}
        details = {**status, "lookUp": self.evidence(**found)}
        return LostResponse(code_of(self._error), f"{self._error} {finding}", next_step, details, may_have_acted=True)


FindOutcome = Callable[[OutcomeLookup], Awaitable[tuple[T, dict[str, Any]]]]
"""What the call would have given, and the evidence; raises `LostResponse` when nothing was done or it stays unknown."""


async def write_with_lookup(
    what: str,
    services: Services,
    progress: Progress,
    call: Callable[[DecthingsClient, SendProgress], Awaitable[T]],
    look: FindOutcome[T],
) -> tuple[T, dict[str, Any] | None]:
    """What a call that writes gives, and the evidence if that had to be looked up.

    Args:
        what: names the call in the log, which tells what became of it when it is cancelled.

    Raises:
        DecthingsError: nothing was done.
        LostResponse: the answer was lost, and nothing was done or that could not be found out.
    """
    client, sending, begun = services.connected(), SendProgress(), monotonic()

    def lookup(error: DecthingsError) -> OutcomeLookup:
        return OutcomeLookup(error, client, begun, services.call_seconds * OUTCOME_LOOKUP_SHARE)

    async def attempt() -> tuple[T, dict[str, Any] | None]:
        try:
            given = await retry(lambda: call(client, sending), services.retry_seconds, on_retry=progress.report_retry)
        except DecthingsError as error:
            if not error.may_have_acted:
                raise
            return await look(lookup(error))
        return given, None

    try:
        return await attempt()
    except anyio.get_cancelled_exc_class():
        if not sending.may_have_acted:
            _log.warning("%s was cancelled before Decthings took it: nothing was done", what)
        elif services.background is not None:
            error = NoResponse("All of it was sent.")
            services.background.start(lambda: _log_outcome(what, look, lookup(error)))
        raise


async def _log_outcome(what: str, look: FindOutcome[Any], lookup: OutcomeLookup) -> None:
    try:
        _, evidence = await look(lookup)
        _log.warning("%s was cancelled and done all the same: %s", what, evidence)
    except ToolFailure as failure:
        _log.warning("%s was cancelled. %s", what, failure)
    except anyio.get_cancelled_exc_class():
        _log.warning("%s was cancelled after all of it was sent: it may have been done", what)
        raise


def recovered_note(evidence: Mapping[str, Any] | None) -> str:
    """For the headline of a success, when it was found out by looking."""
    return "" if evidence is None else " Decthings' answer was lost; looking it up confirmed that this was done."
