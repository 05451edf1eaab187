"""Retrying a call to Decthings, only where it cannot do anything twice."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import TypeVar

import anyio

from ..decthings import (
    ApiError,
    ConnectionFailed,
    DecthingsError,
    InvalidResponse,
    NoResponse,
    RequestInterrupted,
)

T = TypeVar("T")

_FIRST_PAUSE = 0.3
_LONGEST_PAUSE = 5.0
_CONNECTION_TRIES = 3
_OVERLOAD_CODES = ("too_many_requests", "server_overloaded")

OnRetry = Callable[[float], Awaitable[None]]
"""Awaited with the seconds of a pause before it begins."""


async def retry(
    call: Callable[[], Awaitable[T]], budget: float, *, idempotent: bool = False, on_retry: OnRetry | None = None
) -> T:
    """What `call` returns, called again after a pause while that is safe and the budget of seconds lasts.

    Any call is retried when nothing was sent (a few times), or when Decthings refused it for load. A call
    that only reads is retried after any failure of the connection, too.
    """
    started, tries = monotonic(), 0
    while True:
        try:
            return await call()
        except DecthingsError as error:
            tries += 1
            pause = _backoff(error, tries, idempotent=idempotent)
            if pause is None or monotonic() - started + pause > budget:
                raise
        if on_retry is not None:
            await on_retry(pause)
        await anyio.sleep(pause)


def _backoff(error: DecthingsError, tries: int, *, idempotent: bool) -> float | None:
    """Seconds until the next try, or None when there is to be none."""
    growing = min(_FIRST_PAUSE * 2 ** (tries - 1), _LONGEST_PAUSE) * random.uniform(0.5, 1.0)  # noqa: S311
    pause = max(growing, (error.retry_after if isinstance(error, InvalidResponse) else None) or 0.0)
    passing = (ConnectionFailed, *((NoResponse, RequestInterrupted, InvalidResponse) if idempotent else ()))
    may_retry = _is_overload(error) or (isinstance(error, passing) and tries < _CONNECTION_TRIES)
    return pause if may_retry else None


def _is_overload(error: DecthingsError) -> bool:
    if isinstance(error, ApiError):
        return error.code in _OVERLOAD_CODES
    return isinstance(error, InvalidResponse) and error.status == 429
