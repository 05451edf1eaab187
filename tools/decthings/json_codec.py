"""JSON as it goes out and comes in, and telling its values apart."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeGuard

from pydantic import SecretStr

from .errors import InvalidRequest
from .varint import MalformedFrame


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def parse_if_json(value: Any) -> Any:
    """What a text says if it is JSON, and any other value as it is."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


_SHORTEST_SECRET = 8


def redact(value: Any, key: SecretStr | None) -> Any:
    """The value with the key blanked in every text: what is sent may be echoed back.

    A key that is as short as a word is none that is worth hiding, and words are in every answer.
    """
    secret = "" if key is None else key.get_secret_value()
    return _redacted(value, secret) if len(secret) >= _SHORTEST_SECRET else value


def _redacted(value: Any, secret: str) -> Any:
    if isinstance(value, str):
        return value.replace(secret, "[API key]")
    if is_object(value):
        return {_redacted(name, secret): _redacted(member, secret) for name, member in value.items()}
    return [_redacted(item, secret) for item in value] if is_list(value) else value


def encode_json(value: Mapping[str, Any]) -> bytes:
    """Compact UTF-8, as JSON.stringify writes it.

    Raises:
        InvalidRequest: a number is NaN or infinite, or a text holds half of a surrogate pair.
    """
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest(
            "A text holds half of a surrogate pair, which UTF-8 cannot carry. Leave that character out."
        ) from error
    except ValueError as error:
        raise InvalidRequest("NaN and infinities can only stand in a tensor.") from error


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
