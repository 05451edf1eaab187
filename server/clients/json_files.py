"""Editing JSON with comments in place: what is not edited stays byte for byte.

Of our own, since no library does it well enough: json-five needs 20 seconds for a megabyte (~/.claude.json can have
that) and a compiled package, and others rewrite the file. Comments, trailing commas and a byte order mark are allowed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

from .errors import ConfigurationConflict, UnreadableConfiguration

_TOKEN = re.compile(
    r"""(?P<blank>[ \t\r\n]+|//[^\r\n]*|/\*.*?\*/)
    |(?P<string>"(?:[^"\\\r\n]|\\.)*")
    |(?P<mark>[{}\[\],:])
    |(?P<scalar>[A-Za-z0-9+.-]+)""",
    re.DOTALL | re.VERBOSE,
)
_BOM = "\ufeff"


class _Token(NamedTuple):
    text: str
    start: int
    end: int


class _Member(NamedTuple):
    key: str
    start: int
    value: int
    end: int
    comma: int | None
    """Where the comma after it is."""


class _Object(NamedTuple):
    start: int
    """After the opening brace."""
    end: int
    """Of the closing brace."""
    members: list[_Member]

    def find(self, key: str) -> _Member | None:
        found = [member for member in self.members if member.key == key]
        if len(found) > 1:
            raise ConfigurationConflict(f'It has "{key}" more than once.')
        return found[0] if found else None

    def position(self, key: str) -> int:
        return [member.key for member in self.members].index(key)


def parse(text: str) -> dict[str, Any]:
    """The object that the text contains; an empty text is an empty object.

    Raises:
        UnreadableConfiguration: it is not a JSON object, comments and trailing commas aside.
    """
    try:
        value = _loads(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableConfiguration("It is not valid JSON.") from error
    if not isinstance(value, dict):
        raise UnreadableConfiguration("It is not a JSON object.")
    return cast(dict[str, Any], value)


def _loads(text: str) -> object:
    try:
        return json.loads(text)  # much faster, and most files are strict
    except ValueError:
        words = [token.text for token in _tokens(text, 0)]
    strict = [
        word
        for before, word, after in zip(["", *words], words, [*words[1:], ""], strict=False)
        if word != "," or after not in ("}", "]") or before in ("{", "[", ",", ":")
    ]
    return json.loads(" ".join(strict) or "{}")


def put(text: str, keys: Sequence[str], value: object) -> str:
    """The text with a value at a path of keys, which is made as far as it is missing. The text must parse."""
    if not parse(text) and "{" not in text:
        text += "{}\n"
    found = _object(text, next(_tokens(text, 0)).start)
    for number, key in enumerate(keys):
        member = found.find(key)
        if member is None:
            for missing in reversed(keys[number + 1 :]):
                value = {missing: value}
            return _insert(text, found, key, value)
        if number == len(keys) - 1:
            written = _render(value, text, _line_indent(text, member.start), "\n" in text[found.start : found.end])
            return text[: member.value] + written + text[member.end :]
        if text[member.value] != "{":
            raise ConfigurationConflict(f'"{key}" is not an object in it.')
        found = _object(text, member.value)
    raise ValueError("no keys")


def drop(text: str, keys: Sequence[str]) -> str:
    """The text without the member at a path of keys, which must be there."""
    found = _object(text, next(_tokens(text, 0)).start)
    for key in keys[:-1]:
        found = _object(text, found.members[found.position(key)].value)
    return _without(text, found, keys[-1])


def _tokens(text: str, start: int) -> Iterator[_Token]:
    """Tokens from a place on, without white space and comments."""
    position = start + (text.startswith(_BOM, start))
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise UnreadableConfiguration("It is not valid JSON.")
        position = found.end()
        if found.lastgroup != "blank":
            yield _Token(found.group(), found.start(), found.end())


def _object(text: str, start: int) -> _Object:
    """The object whose brace is there, of a text that parses."""
    members: list[_Member] = []
    depth, key, value, end = 0, None, 0, 0
    for token in _tokens(text, start):
        opens, closes = token.text in ("{", "["), token.text in ("}", "]")
        depth -= closes
        if key is not None and (depth == 0 or (depth == 1 and token.text == ",")):
            comma = None if depth == 0 else token.start
            members.append(_Member(json.loads(key.text), key.start, value, end, comma))
            key = None
        elif depth == 1 and key is None and not closes and not opens:
            key, value = token, 0
        elif depth == 1 and not closes and token.text != ":":
            value = token.start
        if depth == 0 and closes:
            return _Object(start + 1, token.end, members)
        depth += opens
        end = token.end
    raise UnreadableConfiguration("It is not valid JSON.")


def _insert(text: str, into: _Object, key: str, value: object) -> str:
    """The text with one more member, after the last one, indented as the others are."""
    last = into.members[-1] if into.members else None
    on_lines = last is None or "\n" in text[into.start : into.end]
    brace = _line_indent(text, into.start)
    indent = _line_indent(text, into.members[0].start) if last and on_lines else brace + _unit(text)
    member = f"{json.dumps(key, ensure_ascii=False)}: {_render(value, text, indent, on_lines)}"
    lead = _newline(text) + indent if on_lines else " "
    after = into.start if last is None else last.end if last.comma is None else last.comma + 1
    stop = after + len(text[after : into.end - 1].rstrip(" \t\r\n"))  # behind comments, which belong to what is there
    if last is None:
        rest = text[stop : into.end - 1]
        return text[:stop] + lead + member + (rest if "\n" in rest else _newline(text) + brace) + text[into.end - 1 :]
    if last.comma is None:
        return text[:after] + "," + text[after:stop] + lead + member + text[stop:]
    return text[:stop] + lead + member + "," + text[stop:]


def _without(text: str, found: _Object, key: str) -> str:
    position = found.position(key)
    member = found.members[position]
    previous = found.members[position - 1] if position else None
    head = found.start if previous is None or previous.comma is None else previous.comma + 1
    end = member.end if member.comma is None else member.comma + 1
    start = head + len(text[head : member.start].rstrip(" \t\r\n"))
    if not re.match(r"[ \t]*(\r?\n|//)", text[end:]) and "\n" in text[start : member.start]:
        start = member.start  # what follows on its line must not get into a comment
    if previous is not None and member.comma is None and previous.comma is not None:
        return text[: previous.comma] + text[previous.comma + 1 : start] + text[end:]
    if len(found.members) == 1 and not (text[found.start : start] + text[end : found.end - 1]).strip(" \t\r\n"):
        return text[: found.start] + text[found.end - 1 :]
    return text[:start] + text[end:]


def _render(value: object, text: str, indent: str, on_lines: bool) -> str:
    if not on_lines:
        return json.dumps(value, ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False, indent=_unit(text)).replace("\n", _newline(text) + indent)


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _unit(text: str) -> str:
    """One step of indentation, as in the first line that has one."""
    found = re.search(r"^([ \t]+)\"", text, re.MULTILINE)
    return found[1] if found else "  "


def _line_indent(text: str, position: int) -> str:
    line = text[text.rfind("\n", 0, position) + 1 : position]
    return line[: len(line) - len(line.lstrip(" \t"))]
