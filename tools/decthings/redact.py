"""Removes the API key from values that are logged or returned."""

from __future__ import annotations

import re
from typing import Any

from pydantic import SecretStr

from .json_codec import is_list, is_object

_SHORTEST_SECRET = 8


def redact(value: Any, key: SecretStr | None) -> Any:
    """Replace the key in every string of `value`: a server may echo what it was sent.

    It is found in JSON and in logged bytes too, where some characters have a backslash before them. Very short keys are
    kept: they may be words, which occur in every response.
    """
    secret = "" if key is None else key.get_secret_value()
    return _redacted(value, _escaped_or_not(secret)) if len(secret) >= _SHORTEST_SECRET else value


def _escaped_or_not(secret: str) -> re.Pattern[str]:
    """What matches the secret, escaped any number of times."""
    parts = re.findall(r"\\+|[^\\]", secret)
    return re.compile("".join(map(_part, parts, ["", *parts])))


def _part(part: str, previous: str) -> str:
    if part.startswith("\\"):
        return rf"\\{{{len(part)},}}"
    may_be_escaped = part in "\"'/" and not previous.startswith("\\")
    return (r"\\*" if may_be_escaped else "") + re.escape(part)


def _redacted(value: Any, secret: re.Pattern[str]) -> Any:
    if isinstance(value, str):
        return secret.sub("[API key]", value)
    if is_object(value):
        return {_redacted(name, secret): _redacted(member, secret) for name, member in value.items()}
    return [_redacted(item, secret) for item in value] if is_list(value) else value
