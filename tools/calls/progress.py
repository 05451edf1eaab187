"""Progress notifications that only rise, and not more often than a person can read."""

from __future__ import annotations

from time import monotonic
from typing import Any

from mcp.server.mcpserver import Context

_INTERVAL = 0.5


class Progress:
    """Sends nothing to a client that did not ask for progress."""

    def __init__(self, context: Context[Any, Any]) -> None:
        self._context = context
        self._value = 0.0
        self._sent_at = float("-inf")

    async def __call__(self, value: float, total: float | None = None, message: str | None = None) -> None:
        now = monotonic()
        if value <= self._value or (value != total and now - self._sent_at < _INTERVAL):
            return
        self._value, self._sent_at = value, now
        await self._context.report_progress(value, total, message)

    async def report_retry(self, seconds: float) -> None:
        """That a call was refused and is repeated; what was counted so far counts on."""
        self._value += 0.001
        message = f"Decthings could not take the call; trying again in {seconds:.0f} s."
        await self._context.report_progress(self._value, None, message)
