"""Removes the API key from values that are logged or returned."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr

from .json_codec import is_list, is_object

_SHORTEST_SECRET = 8


def redact(value: Any, key: SecretStr | None) -> Any:
    """Replace the key in every string of `value`: a server may echo what it was sent.

    Very short keys are kept: they may be words, which occur in every response.
    """
    secret = "" if key is None else key.get_secret_value()
    return _redacted(value, secret) if len(secret) >= _SHORTEST_SECRET else value


def _redacted(value: Any, secret: str) -> Any:
    if isinstance(value, str):
        return value.replace(secret, "[API key]")
    if is_object(value):
        return {_redacted(name, secret): _redacted(member, secret) for name, member in value.items()}
    return [_redacted(item, secret) for item in value] if is_list(value) else value
