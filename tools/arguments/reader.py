"""Reading arguments generously: what assistants and the frameworks between us make of them is put right.

The published inputSchema says what belongs where, so the reading follows it and knows no tool: JSON in a
string is parsed where an object or a list belongs, null and empty members are absent, a single value
stands for a list of one, "4" is a number where a number belongs. A tool adds `rewrites` for the forms
that are its own, and `unions`, whose members depend on a type. What cannot be read stays as it is, for
`checking` to refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..decthings.json_codec import is_list, is_object, parsed

Schema = Mapping[str, Any]
Members = dict[str, Any]


@dataclass(frozen=True)
class Union:
    """An object whose members depend on the word in one of them, `tag`."""

    tag: str
    members: Mapping[str, frozenset[str]]

    def allowed(self, word: object) -> frozenset[str] | None:
        own = self.members.get(word) if isinstance(word, str) else None
        return None if own is None else own | {self.tag}

    def words_with(self, member: str) -> list[str]:
        return [word for word, members in self.members.items() if member in members]


@dataclass
class Reader:
    """Paths are those of the schema: members joined by dots, `[]` behind a list, "" the arguments."""

    schema: Schema
    rewrites: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict[str, Callable[[Any], Any]])
    unions: Mapping[str, Union] = field(default_factory=dict[str, Union])
    may_be_empty: frozenset[str] = frozenset()
    """Members that are left out of the schema's `required` and mean something when they are empty."""

    def read(self, arguments: Members) -> tuple[Members, list[str]]:
        """The arguments as they were meant, and the paths of the members that were left out of them."""
        ignored: list[str] = []
        read = self._value(arguments, self.schema, "", "", ignored)
        return read, sorted(p for p in ignored if not any(p.startswith(f"{outer}.") for outer in ignored))

    def _value(self, value: Any, schema: Schema, path: str, place: str, ignored: list[str]) -> Any:
        value = _converted(value, schema)
        if rewrite := self.rewrites.get(path):
            value = rewrite(value)
        if schema["type"] == "object" and is_object(value):
            return self._members(value, schema, path, place, ignored)
        if schema["type"] == "array":
            items = value if is_list(value) else [value]
            if schema["items"]["type"] == "string" and f"{path}[]" not in self.rewrites:
                return items  # texts stay as they are, and there can be a million of them
            return [
                self._value(item, schema["items"], f"{path}[]", f"{place}[{i}]", ignored)
                for i, item in enumerate(items)
            ]
        return value

    def _members(self, given: Members, schema: Schema, path: str, place: str, ignored: list[str]) -> Members:
        properties, required = schema["properties"], schema.get("required", ())
        members: Members = {}
        for name, value in given.items():
            if name in properties:
                here = f"{place}.{name}".lstrip("."), f"{path}.{name}".lstrip(".")
                read = _nothing_given(value, properties[name]) or self._value(
                    value, properties[name], here[1], here[0], ignored
                )
                # An object with nothing but one empty text means it: {"base64": ""} is an empty file.
                optional = name not in required and here[1] not in self.may_be_empty
                optional = optional and not (read == "" and len(given) == 1)
                if read is _ABSENT or (optional and _is_blank(read)):
                    continue
                members[name] = read
            elif value is not None:
                members[name] = value
        union = self.unions.get(path)
        return members if union is None else _only_own(members, union, properties, place, ignored)


class _Absent:
    pass


_ABSENT = _Absent()


def _nothing_given(value: Any, schema: Schema) -> _Absent | None:
    text = schema["type"] == "string" and "enum" not in schema
    empty = (value == "" and not text) or (value == {} and schema["type"] != "object")
    return _ABSENT if value is None or empty else None


def _is_blank(value: Any) -> bool:
    return value == "" or value == {}


_WRITTEN_AS = {"object": ("dict",), "array": ("list",), "number": ("int", "float"), "integer": ("int",)}


def _converted(value: Any, schema: Schema) -> Any:
    """A text where something else belongs, and a float where an integer belongs, as that."""
    kind = schema["type"]
    if isinstance(value, str) and kind == "boolean":
        return {"true": True, "false": False}.get(value.strip().lower(), value)
    meant = parsed(value) if isinstance(value, str) and kind != "string" else value
    if isinstance(meant, float) and kind == "integer" and meant.is_integer():
        return int(meant)
    # By its type: a boolean would pass for an integer.
    return meant if type(meant).__name__ in _WRITTEN_AS.get(kind, ()) else value


def _only_own(
    members: Members, union: Union, properties: Mapping[str, Schema], place: str, ignored: list[str]
) -> Members:
    """Without the members of the other words, as far as they can have been filled in by rote.

    OpenAI's strict mode makes a model fill in every member. Empty ones go without a word, enums,
    booleans and numbers are named; a text or a list stays, and is refused: it means another word.
    """
    allowed = union.allowed(members.get(union.tag))
    if allowed is None:
        return members
    own: Members = {}
    for name, value in members.items():
        foreign = name not in allowed and name in properties
        meaning = _meaning(value, properties[name]) if foreign else _CHOSEN
        if meaning == _CHOSEN:
            own[name] = value
        elif meaning == _BY_ROTE:
            ignored.append(f"{place}.{name}".lstrip("."))
    return own


_EMPTY, _BY_ROTE, _CHOSEN = range(3)


def _meaning(value: Any, schema: Schema) -> int:
    """How much a member that does not belong tells of what was meant."""
    if is_object(value):
        properties = schema.get("properties", {})
        return max(
            (_meaning(member, properties[name]) if name in properties else _CHOSEN for name, member in value.items()),
            default=_EMPTY,
        )
    if value == "" or value == []:
        return _EMPTY
    if value == "none":
        return _BY_ROTE
    if isinstance(value, list) or (isinstance(value, str) and "enum" not in schema):
        return _CHOSEN
    return _BY_ROTE
