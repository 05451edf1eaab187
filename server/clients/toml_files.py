"""Editing TOML in place with tomlkit: what is not edited stays byte for byte."""

from __future__ import annotations

import re
import tomllib
from collections.abc import MutableMapping, Sequence
from typing import Any, cast

import tomlkit
from tomlkit.exceptions import TOMLKitError

from .errors import ConfigurationConflict, UnreadableConfiguration

_BOM = "\ufeff"
_BLANK = re.compile(r"[ \t]*(#.*)?\r?\n?")


def parse(text: str) -> dict[str, Any]:
    """What the text contains.

    Raises:
        UnreadableConfiguration: it is not valid TOML.
    """
    try:
        return tomllib.loads(text.removeprefix(_BOM))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UnreadableConfiguration("It is not valid TOML.") from error


def put(text: str, keys: Sequence[str], value: object) -> str:
    """The text with a value at a path of keys. The text must parse.

    A new one becomes a table of its own at the end: further up, it could part a comment from what that is about.

    Raises:
        ConfigurationConflict: there is no place for it.
    """
    bom, body = _split_bom(text)
    document = _document(body)
    try:
        table = _table(document, keys[:-1])
        if table is None or (isinstance(value, dict) and keys[-1] not in table):
            return text + _newlines(_lead(body) + _new_table(keys, cast(dict[str, Any], value)), like=text)
        table[keys[-1]] = value
        return bom + tomlkit.dumps(document)
    except (TOMLKitError, TypeError, ValueError) as error:
        raise ConfigurationConflict("It cannot be edited.") from error


def drop(text: str, keys: Sequence[str]) -> str:
    """The text without what is at a path of keys, which must be there. Comments behind it stay.

    Raises:
        ConfigurationConflict: tomlkit cannot remove it.
    """
    bom, body = _split_bom(text)
    document = _document(body)
    try:
        table = _table(document, keys[:-1]) or {}
        del table[keys[-1]]
        return bom + _with_comments(body, tomlkit.dumps(document))
    except (TOMLKitError, TypeError, ValueError) as error:
        raise ConfigurationConflict("It cannot be edited.") from error


def _table(document: tomlkit.TOMLDocument, keys: Sequence[str]) -> MutableMapping[str, Any] | None:
    """The table at a path of keys; None when there is none yet."""
    table = cast(MutableMapping[str, Any], document)
    for key in keys:
        if key not in table:
            return None
        table = table[key]
    return table


def _new_table(keys: Sequence[str], value: dict[str, Any]) -> str:
    document: dict[str, Any] = {}
    inner = document
    for key in keys:
        inner[key] = inner = {}
    inner.update(value)
    return tomlkit.dumps(document)


def _lead(body: str) -> str:
    """What parts a new table from what is before it."""
    return "" if not body else "\n" if body.endswith("\n") else "\n\n"


def _with_comments(before: str, after: str) -> str:
    """The text after a removal, with the comments that tomlkit counts as a part of what was removed."""
    lines, left = before.splitlines(keepends=True), after.splitlines(keepends=True)
    start = next(
        (number for number, (one, other) in enumerate(zip(lines, left, strict=False)) if one != other), len(left)
    )
    removed = lines[start : len(lines) - (len(left) - start)]
    kept = len(removed)
    while kept and _BLANK.fullmatch(removed[kept - 1]):
        kept -= 1
    if any("#" in line for line in removed[kept:]):
        return "".join([*left[:start], *removed[kept:], *left[start:]])
    if start == len(left) and left and not left[-1].strip():
        left.pop()  # the line that parted it from what was before
    return "".join(left)


def _document(body: str) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(body)
    except TOMLKitError as error:
        raise UnreadableConfiguration("It is not valid TOML.") from error


def _split_bom(text: str) -> tuple[str, str]:
    return (_BOM, text.removeprefix(_BOM)) if text.startswith(_BOM) else ("", text)


def _newlines(text: str, like: str) -> str:
    """New lines end as the others do."""
    return re.sub(r"(?<!\r)\n", "\r\n", text) if "\r\n" in like else text
