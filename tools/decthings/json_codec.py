"""Encoding and decoding JSON, and type checks for its values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeGuard

from .errors import InvalidRequest
from .varint import MalformedFrame


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def parse_if_json(value: Any) -> Any:
    """The parsed value of a string that contains JSON; any other value unchanged."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def encode_json(value: Mapping[str, Any]) -> bytes:
    """Compact UTF-8, as JSON.stringify writes it.

    Raises:
        InvalidRequest: a number is NaN or infinite, or a string has an unpaired surrogate.
    """
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest(
            "A string has an unpaired surrogate, which UTF-8 cannot encode. Leave that character out."
        ) from error
    except ValueError as error:
        raise InvalidRequest("NaN and infinities are only possible in a tensor.") from error


def decode_json_object(document: bytes) -> dict[str, Any]:
    try:
        value = json.loads(document.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise MalformedFrame("the JSON part is not JSON") from error
    if not is_object(value):
        raise MalformedFrame("the JSON part is not a JSON object")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
