"""What will change in a configuration, to be shown in a terminal: changed lines only, without secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from difflib import unified_diff
from typing import cast

from .configuration import Configuration

_SECRET_TABLES = {"env", "environment", "headers", "http_headers"}
_SECRET_NAMES = re.compile(r"key|token|secret|password|auth|credential", re.IGNORECASE)
_LONG_LINE = 200
_MASK = "********"


def difference(configuration: Configuration, after: bytes | None) -> list[str]:
    """Lines that go and come, as in a unified diff.

    Other servers' secrets may be in lines that change, as when all is in one line; they are masked.
    """
    before, text = configuration.text, (after or b"").decode()
    secrets = sorted(set(_secrets(configuration.everything())), key=len, reverse=True)
    lines = list(unified_diff(before.splitlines(), text.splitlines(), n=0, lineterm=""))[2:]
    if any(len(line) > _LONG_LINE for line in lines):
        lines = _middles(before, text)
    return [_masked(line, secrets) for line in lines]


def _middles(before: str, after: str) -> list[str]:
    """Only what differs: the rest would fill the terminal."""
    start = _common(before, after)
    end = _common(before[start:][::-1], after[start:][::-1])
    middles = [(sign, text[start : len(text) - end]) for sign, text in (("-", before), ("+", after))]
    return [f"{sign}… {line} …" for sign, middle in middles for line in middle.splitlines()]


def _common(one: str, other: str) -> int:
    """How many characters are the same at the beginning."""
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _secrets(value: object, *, inside: bool = False) -> Iterator[str]:
    if isinstance(value, dict):
        for key, member in cast(dict[str, object], value).items():
            yield from _secrets(member, inside=inside or key in _SECRET_TABLES or bool(_SECRET_NAMES.search(key)))
    elif isinstance(value, list):
        for item in cast(list[object], value):
            yield from _secrets(item, inside=inside)
    elif inside and isinstance(value, str) and len(value) > 3:
        yield value


def _masked(line: str, secrets: list[str]) -> str:
    for secret in secrets:
        for form in (json.dumps(secret, ensure_ascii=False)[1:-1], json.dumps(secret)[1:-1], secret):
            line = line.replace(form, _MASK)
    return line
