"""Limits how often each caller calls."""

from __future__ import annotations

from math import ceil
from time import monotonic

_IDLE_SECONDS = 600.0


class RateLimiter:
    """A token bucket for each caller, which holds the calls of two seconds."""

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._size = max(1.0, 2 * per_second)
        self._buckets: dict[str, tuple[float, float]] = {}
        self._swept_at = monotonic()

    def take(self, caller: str) -> int | None:
        """Count a call. Returns None if it is allowed, or else the number of seconds to wait."""
        now = monotonic()
        self._sweep(now)
        left, at = self._buckets.get(caller, (self._size, now))
        left = min(self._size, left + (now - at) * self._per_second)
        allowed = left >= 1
        self._buckets[caller] = (left - 1 if allowed else left, now)
        return None if allowed else ceil((1 - left) / self._per_second)

    def _sweep(self, now: float) -> None:
        """Remove the buckets of callers that have been idle for long."""
        if now - self._swept_at > _IDLE_SECONDS:
            self._swept_at = now
            self._buckets = {name: b for name, b in self._buckets.items() if now - b[1] < _IDLE_SECONDS}
