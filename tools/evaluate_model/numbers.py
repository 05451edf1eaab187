"""Elements of tensors as JSON values that every client reads in the same way."""

from __future__ import annotations

import math
from typing import Any

from ..results.text import sanitize

_MAX_EXACT = 2**53


def as_json(value: Any, text: int = 500) -> Any:
    """A number, boolean or string; NaN, infinities and integers that would lose digits in JSON as strings."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) <= _MAX_EXACT else str(value)
    if isinstance(value, float):
        return _float(value)
    return sanitize(str(value), text)


def _float(value: float) -> float | str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def as_f32(value: float) -> float:
    """The number with the digits that a 32-bit float has."""
    return float(f"{value:.7g}")
