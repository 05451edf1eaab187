"""The outcome of a call whose response was lost, or that was cancelled: looked up before anything is said of it.

All of the request was sent and no usable response came, so Decthings may have acted on it or not.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from time import monotonic
from typing import Any, TypeVar

import anyio

from ..decthings import DecthingsClient, DecthingsError, InvalidResponse, NoResponse, SendProgress, types
from ..results.errors import LostResponse, ToolFailure
from .progress import Progress
from .retries import retry
from .services import Services
from .time_limits import OUTCOME_LOOKUP_SHARE

T = TypeVar("T")

_log = logging.getLogger(__name__)

_PAUSES = (0.0, 0.5, 1.0, 2.0)
"""Seconds before each request of a lookup: what was just made can take a moment to be listed."""
_REQUEST_SECONDS = 3.0
_PAGE_LIMIT = 100
_MAX_MODELS = 1_000
_CLOCK_SLACK_MS = 2_000
"""A Date header has whole seconds, and travels for a while."""


class OutcomeLookup:
    """Looks for what a call did. `found` is what it found, for the result."""

    def __init__(self, error: DecthingsError, client: DecthingsClient, request_started: float, seconds: float) -> None:
        """Starts the lookup.

        Args:
            error: why the outcome of the call is not known.
            request_started: `time.monotonic()` of the request whose response was lost.
            seconds: how long to look.
        """
        self._error = error
        self._client = client
        self._request_started = request_started
        self._started = monotonic()
        self._until = self._started + seconds
        self._responses = 0
        self.found: dict[str, Any] = {}
        self.request_at: float | None = None
        """The time of the request on Decthings' clock, in milliseconds since 1970: what is older was there before."""

    async def models(self, filter_: types.Filter) -> AsyncGenerator[list[dict[str, Any]]]:
        """What Decthings lists, request after request."""
        for pause in _PAUSES:
            await anyio.sleep(pause)
            left = self._until - monotonic()
            if left <= 0:
                return
            try:
                with anyio.fail_after(min(_REQUEST_SECONDS, left)):
                    models = await self._all_models(filter_)
            except (DecthingsError, TimeoutError):
                continue
            self._responses += 1
            yield models

    async def _all_models(self, filter_: types.Filter) -> list[dict[str, Any]]:
        """All that match: public models of others can have the same name."""
        models: list[dict[str, Any]] = []
        while True:
            params: types.ListParams = {"filter": filter_, "offset": len(models), "limit": _PAGE_LIMIT}
            page = await self._client.get_models(params, self._read_date)
            models += page["models"]
            if not page["models"] or len(models) >= min(page["total"], _MAX_MODELS):
                return models

    def _read_date(self, server_ms: float) -> None:
        self.request_at = server_ms - (monotonic() - self._request_started) * 1000 - _CLOCK_SLACK_MS

    def is_from_this_call(self, created_at: Any) -> bool | None:
        """Whether something was made since the request started; None when that cannot be determined."""
        if not isinstance(created_at, (int, float)) or self.request_at is None:
            return None
        return created_at >= self.request_at

    def evidence(self) -> dict[str, Any]:
        return {"seconds": round(monotonic() - self._started, 1), "answers": self._responses, **self.found}

    def not_applied(self, message: str, next_step: str) -> LostResponse:
        """The error for a call that had no effect."""
        return LostResponse(self._error.code, message, next_step, {"lookUp": self.evidence()})

    def unknown(self, finding: str, next_step: str = "") -> LostResponse:
        """The error for a call whose outcome stays unknown.

        Args:
            finding: a sentence on what the lookup has shown.
        """
        if not self._responses:
            finding = "Decthings did not respond to the lookup either."
        status = {"httpStatus": self._error.status} if isinstance(self._error, InvalidResponse) else {}
        details = {**status, "lookUp": self.evidence()}
        return LostResponse(self._error.code, f"{self._error} {finding}", next_step, details, may_have_acted=True)


Verify = Callable[[OutcomeLookup], Awaitable[T]]
"""Looks for the effect of a call and returns what the call would have returned.

Raises `LostResponse` when the call had no effect, or when that stays unknown.
"""


async def write_with_lookup(
    name: str,
    services: Services,
    progress: Progress,
    sending: SendProgress,
    method: Callable[[DecthingsClient, SendProgress], Awaitable[T]],
    verify: Verify[T],
) -> tuple[T, dict[str, Any] | None]:
    """What a call that writes returns, and the evidence if that had to be looked up.

    Args:
        name: of the call in the log, which has its outcome when it is cancelled.

    Raises:
        DecthingsError: nothing was done.
        LostResponse: the response was lost, and nothing was done or that could not be found out.
    """
    client = services.require_client()

    def lookup(error: DecthingsError) -> OutcomeLookup:
        return OutcomeLookup(error, client, sending.started, services.call_seconds * OUTCOME_LOOKUP_SHARE)

    try:
        try:
            result = await retry(
                lambda: method(client, sending), services.retry_seconds, on_retry=progress.report_retry
            )
        except DecthingsError as error:
            if not error.may_have_acted:
                raise
            found = lookup(error)
            return await verify(found), found.evidence()
        return result, None
    except anyio.get_cancelled_exc_class():
        if not sending.may_have_acted:
            _log.warning("%s was cancelled before Decthings took it: nothing was done", name)
        elif services.background is not None:
            error = NoResponse("All of it was sent.")
            services.background.start(lambda: _log_outcome(name, verify, lookup(error)))
        raise


async def _log_outcome(name: str, verify: Verify[Any], lookup: OutcomeLookup) -> None:
    try:
        await verify(lookup)
        _log.warning("%s was cancelled and done all the same: %s", name, lookup.evidence())
    except ToolFailure as failure:
        _log.warning("%s was cancelled. %s", name, failure)
    except anyio.get_cancelled_exc_class():
        _log.warning("%s was cancelled after all of it was sent: it may have been done", name)
        raise
