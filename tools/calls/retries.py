"""Repeating a call by ourselves: only where it cannot do anything twice."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any, TypeVar

import anyio
from mcp.server.mcpserver import Context

from ..decthings import (
    ApiError,
    ConnectionFailed,
    DecthingsClient,
    DecthingsError,
    InvalidResponse,
    NoResponse,
    RequestInterrupted,
)
from .progress import Progress
from .services import services_of

T = TypeVar("T")

_FIRST_PAUSE = 0.3
_LONGEST_PAUSE = 5.0
_CONNECTION_TRIES = 3
_OVERLOAD_CODES = ("too_many_requests", "server_overloaded")

OnRetry = Callable[[float], Awaitable[None]]
"""Awaited with the seconds of a pause before it begins."""


async def call_decthings(
    context: Context[Any, Any], call: Callable[[DecthingsClient], Awaitable[T]], *, idempotent: bool = False
) -> T:
    """One method of Decthings on behalf of a tool, retry as `retry` says, and the person told of it."""
    services = services_of(context)
    client = services.connected()
    return await retry(
        lambda: call(client), services.retry_seconds, idempotent=idempotent, on_retry=Progress(context).report_retry
    )


async def retry(
    call: Callable[[], Awaitable[T]], budget: float, *, idempotent: bool = False, on_retry: OnRetry | None = None
) -> T:
    """What `call` gives, made again after a pause while that is safe and the budget of seconds lasts.

    Nothing was sent (a few times), or Decthings refused the call because it has too much to do: any call.
    Any fault of the connection: calls that only read.
    """
    begun, tries = monotonic(), 0
    while True:
        try:
            return await call()
        except DecthingsError as error:
            tries += 1
            pause = _backoff(error, tries, idempotent=idempotent)
            if pause is None or monotonic() - begun + pause > budget:
                raise
        if on_retry is not None:
            await on_retry(pause)
        await anyio.sleep(pause)


def _backoff(error: DecthingsError, tries: int, *, idempotent: bool) -> float | None:
    """Seconds, or None when the call is not to be retry."""
    growing = min(_FIRST_PAUSE * 2 ** (tries - 1), _LONGEST_PAUSE) * random.uniform(0.5, 1.0)  # noqa: S311
    if _is_refusal(error):
        told = error.retry_after if isinstance(error, InvalidResponse) else None
        return max(growing, told or 0.0)
    passing = (ConnectionFailed, NoResponse, RequestInterrupted, InvalidResponse) if idempotent else (ConnectionFailed,)
    return growing if isinstance(error, passing) and tries < _CONNECTION_TRIES else None


def _is_refusal(error: DecthingsError) -> bool:
    if isinstance(error, ApiError):
        return error.code in _OVERLOAD_CODES
    if not isinstance(error, InvalidResponse):
        return False
    return error.status == 429 or (error.status == 503 and error.retry_after is not None)
