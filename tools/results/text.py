"""Text helpers: making outside text safe for results, and finding the closest match of a misspelled word."""

from __future__ import annotations

import difflib
import logging
import math
import re
import traceback
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from ..decthings.json_codec import is_list, is_object

_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but tab and newline
    "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff"  # characters that change the direction of text or break lines
    "\ud800-\udfff]"  # surrogates, which would end a stdio connection
)
_SYNONYMS = {
    "bool": "boolean", "bytes": "binary", "double": "f64", "float": "f32", "float16": "f32", "float32": "f32",
    "float64": "f64", "fp16": "f32", "fp32": "f32", "golang": "go", "half": "f32", "f16": "f32", "bf16": "f32",
    "bfloat16": "f32", "int": "i64", "integer": "i64", "int8": "i8", "int16": "i16", "int32": "i32", "int64": "i64",
    "js": "javascript", "long": "i64", "py": "python", "rs": "rust", "str": "string", "text": "string",
    "ts": "typescript", "uint8": "u8", "uint16": "u16", "uint32": "u32", "uint64": "u64",
}  # fmt: skip
"""What words of other libraries and languages are called on Decthings: their spelling is too far from it."""
_MAX_ITEMS = 50
_MAX_DEPTH = 6


def sanitize(text: str, limit: int = 500) -> str:
    """Replace characters that break a connection or mislead a reader, and shorten `text` to `limit` characters."""
    text = text.replace("\r\n", "\n")
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return _UNSAFE.sub("\ufffd", cut)


def single_line(text: str | None) -> str:
    """Join the lines, so that outside text within a sentence cannot look like a line of this server."""
    return " ".join((text or "").split())


def sanitize_json(value: Any, depth: int = _MAX_DEPTH, *, items: int = _MAX_ITEMS, text: int = 500) -> Any:
    """Limit a JSON value from outside in width, depth and length of strings; "…" marks what was cut."""
    if isinstance(value, str):
        return sanitize(value, text)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if not depth and (is_object(value) or is_list(value)):
        return "…"
    if is_object(value):
        members = list(value.items())[:items]
        cut = {"…": f"and {len(value) - items} more"} if len(value) > items else {}
        return {sanitize(n, 100): sanitize_json(m, depth - 1, items=items, text=text) for n, m in members} | cut
    if is_list(value):
        more = [f"… and {len(value) - items} more"] if len(value) > items else []
        return [*(sanitize_json(item, depth - 1, items=items, text=text) for item in value[:items]), *more]
    return value


def str_or_empty(value: Any) -> str:
    """The value if it is a string, or else an empty string."""
    return value if isinstance(value, str) else ""


def short_text(value: Any) -> str | None:
    """A name or description from Decthings, sanitized and shortened; None if it is not a string."""
    return sanitize(value, 200) if isinstance(value, str) else None


def objects_in(value: Any) -> list[dict[str, Any]]:
    """The objects in a list; empty if it is not a list."""
    return [item for item in value if is_object(item)] if is_list(value) else []


def iso_time(milliseconds: Any) -> str | None:
    """A time of Decthings (apparently milliseconds since 1970) in ISO 8601; None if it is not valid."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def utf8_safe(value: Any) -> Any:
    """Replace what JSON in UTF-8 cannot encode: unpaired surrogates and non-finite numbers."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if is_object(value):
        return {utf8_safe(name): utf8_safe(member) for name, member in value.items()}
    return [utf8_safe(item) for item in value] if is_list(value) else value


def closest_match(word: object, known: Iterable[str]) -> str | None:
    """The known word that differs from `word` only in case, or means the same, or else the most similar one."""
    return next(iter(closest_matches(word, known, 1)), None)


def closest_matches(word: object, known: Iterable[str], count: int) -> list[str]:
    """Like `closest_match`: up to `count` words, the most similar one first."""
    if not isinstance(word, str):
        return []
    folded = word[:100].casefold()
    by_folded = {option.casefold(): option for option in known}
    synonym = _SYNONYMS.get(folded)
    if folded not in by_folded and synonym in by_folded:
        return [by_folded[synonym]]
    same_kind = [option for option in by_folded if _is_same_kind(folded, option)]
    matches = difflib.get_close_matches(folded, same_kind, n=count, cutoff=0.6)
    return [by_folded[match] for match in matches]


def _is_same_kind(word: str, option: str) -> bool:
    """Whether the words differ in more than a letter before a number: f16 is no misspelled u16."""
    return not option[-1:].isdigit() or word.rstrip("0123456789") == option.rstrip("0123456789")


def join_words(words: Iterable[str], last: str = "or") -> str:
    """A list in words, like "a, b or c"."""
    *others, final = words
    return f"{', '.join(others)} {last} {final}" if others else final


def log_crash(log: logging.Logger, what: str, error: BaseException) -> None:
    """Log the class and the place of an error, but not its message, which may contain arguments of the call."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    log.error("%s failed with %s at\n%s", what, type(error).__name__, frames)
