"""The outcome of a call whose response was lost, or that was cancelled: looked up before anything is said of it.

All of the request was sent and no usable response came, so Decthings may have acted on it or not.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from time import monotonic
from typing import Any, TypeVar

import anyio

from ..decthings import DecthingsClient, DecthingsError, InvalidResponse, types
from ..results.errors import LostResponse

T = TypeVar("T")

_PAUSES = (1.5, 1.0, 2.0)
"""Seconds before each request of a lookup. A change can take a moment to be listed: an earlier look could show a
model of the name that was deleted just before the call, and miss the one that the call created."""
_REQUEST_SECONDS = 3.0
_LEAST_MS = 10**11
"""In 1973. A smaller time must be in seconds: the API page does not give the unit."""
_PAGE_LIMIT = 100
_MAX_MODELS = 1_000
_CLOCK_SLACK_MS = 60_000
"""By how much clocks may differ: the Date header is a proxy's, the time of a model that of a database."""


class OutcomeLookup:
    """Looks for what a call did. `found` is what it found, for the result."""

    def __init__(self, error: DecthingsError, client: DecthingsClient, request_started: float) -> None:
        """Prepares the lookup.

        Args:
            error: why the outcome of the call is not known.
            request_started: `time.monotonic()` of the request whose response was lost.
        """
        self.note_error(error)
        self.until = float("inf")
        """`time.monotonic()` at which it gives up."""
        self.pauses: Sequence[float] = _PAUSES
        self._client = client
        self._request_started = request_started
        self._started = monotonic()
        self._responses = 0
        self.found: dict[str, Any] = {}
        self.request_at: float | None = None
        """The time of the request on Decthings' clock, in milliseconds since 1970, as far as clocks agree."""

    def note_error(self, error: DecthingsError) -> None:
        """Takes what is reported of the error, not the error itself: its traceback would keep the whole request."""
        self._code, self._message = error.code, str(error)
        self._status = {"httpStatus": error.status} if isinstance(error, InvalidResponse) else {}

    async def models(self, filter_: types.Filter) -> AsyncGenerator[list[dict[str, Any]]]:
        """The models that Decthings lists, request after request."""
        async for models in self.reads(lambda _: self._all_models(filter_)):
            yield models

    async def reads(self, method: Callable[[DecthingsClient], Awaitable[T]]) -> AsyncGenerator[T]:
        """What a method that reads returns, request after request."""
        for pause in self.pauses:
            left = self.until - monotonic() - pause
            if left <= 0:
                return
            await anyio.sleep(pause)
            try:
                with anyio.fail_after(min(_REQUEST_SECONDS, left)):
                    response = await method(self._client)
            except (DecthingsError, TimeoutError):
                continue
            self._responses += 1
            yield response

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
        self.request_at = server_ms - (monotonic() - self._request_started) * 1000

    def is_older(self, created_at: Any) -> bool:
        """Whether something was certainly there before the request. A time near the request's own proves nothing."""
        if not isinstance(created_at, (int, float)) or self.request_at is None:
            return False
        milliseconds = created_at * 1000 if created_at < _LEAST_MS else created_at
        return milliseconds < self.request_at - _CLOCK_SLACK_MS

    def evidence(self) -> dict[str, Any]:
        return {"seconds": round(monotonic() - self._started, 1), "answers": self._responses, **self.found}

    def not_applied(self, message: str, next_step: str) -> LostResponse:
        """The error for a call that had no effect."""
        return LostResponse(self._code, message, next_step, {"lookUp": self.evidence()})

    def unknown(self, finding: str, next_step: str = "", *, may_repeat: bool = False) -> LostResponse:
        """The error for a call whose outcome stays unknown.

        Args:
            finding: a sentence on what the lookup has shown.
            may_repeat: whether the same request, sent again, can settle it and do no harm.
        """
        if not self._responses:
            finding = f"Decthings did not respond to the lookup either, for {monotonic() - self._started:.0f} s."
        details = {**self._status, "lookUp": self.evidence()}
        return LostResponse(
            self._code,
            f"{self._message} {finding}",
            next_step,
            details,
            may_have_acted=True,
            may_repeat=may_repeat,
        )


Verify = Callable[[OutcomeLookup], Awaitable[T]]
"""Looks for the effect of a call and returns what the call would have returned.

Raises `LostResponse` when the call had no effect, or when that stays unknown.
"""
