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
    RequestCutShort,
)
from .progress import Progress
from .services import backend_of

T = TypeVar("T")

_FIRST_PAUSE = 0.3
_LONGEST_PAUSE = 5.0
_CONNECTION_TRIES = 3
_REFUSING_CODES = ("too_many_requests", "server_overloaded")

OnPause = Callable[[float], Awaitable[None]]
"""Awaited with the seconds of a pause before it begins."""


async def call_decthings(
    context: Context[Any, Any], call: Callable[[DecthingsClient], Awaitable[T]], *, reads: bool = False
) -> T:
    """One method of Decthings on behalf of a tool, repeated as `repeated` says, and the person told of it."""
    backend = backend_of(context)
    client = backend.connected()
    return await repeated(
        lambda: call(client), backend.retry_seconds, reads=reads, on_pause=Progress(context).tell_pause
    )


async def repeated(
    call: Callable[[], Awaitable[T]], budget: float, *, reads: bool = False, on_pause: OnPause | None = None
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
            pause = _pause_after(error, tries, reads=reads)
            if pause is None or monotonic() - begun + pause > budget:
                raise
        if on_pause is not None:
            await on_pause(pause)
        await anyio.sleep(pause)


def _pause_after(error: DecthingsError, tries: int, *, reads: bool) -> float | None:
    """Seconds, or None when the call is not to be repeated."""
    growing = min(_FIRST_PAUSE * 2 ** (tries - 1), _LONGEST_PAUSE) * random.uniform(0.5, 1.0)  # noqa: S311
    if _is_refusal(error):
        told = error.retry_after if isinstance(error, InvalidResponse) else None
        return max(growing, told or 0.0)
    passing = (ConnectionFailed, NoResponse, RequestCutShort, InvalidResponse) if reads else (ConnectionFailed,)
    return growing if isinstance(error, passing) and tries < _CONNECTION_TRIES else None


def _is_refusal(error: DecthingsError) -> bool:
    if isinstance(error, ApiError):
        return error.code in _REFUSING_CODES
    if not isinstance(error, InvalidResponse):
        return False
    return error.status == 429 or (error.status == 503 and error.retry_after is not None)
