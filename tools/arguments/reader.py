"""Reading arguments generously: what assistants and the frameworks between us make of them is put right.

The published inputSchema says what belongs where, so the reading follows it and knows no tool: JSON in a
string is parse_if_json where an object or a list belongs, null and empty members are absent, a single value
stands for a list of one, "4" is a number where a number belongs. A tool adds `rewrites` for the forms
that are its own, and `unions`, whose members depend on a type. What cannot be read stays as it is, for
`checking` to refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..decthings.json_codec import is_list, is_object, parse_if_json

Schema = Mapping[str, Any]
Members = dict[str, Any]


@dataclass(frozen=True)
class TaggedUnion:
    """An object whose members depend on the word in one of them, `tag`."""

    tag: str
    members: Mapping[str, frozenset[str]]

    def allowed(self, word: object) -> frozenset[str] | None:
        own = self.members.get(word) if isinstance(word, str) else None
        return None if own is None else own | {self.tag}

    def tags_with(self, member: str) -> list[str]:
        return [word for word, members in self.members.items() if member in members]


@dataclass
class Reader:
    """Paths are those of the schema: members joined by dots, `[]` behind a list, "" the arguments."""

    schema: Schema
    rewrites: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict[str, Callable[[Any], Any]])
    unions: Mapping[str, TaggedUnion] = field(default_factory=dict[str, TaggedUnion])
    may_be_empty: frozenset[str] = frozenset()
    """Members that are left out of the schema's `required` and mean something when they are empty."""

    def read(self, arguments: Members) -> tuple[Members, list[str]]:
        """The arguments as they were meant, and the paths of the members that were left out of them."""
        ignored: list[str] = []
        read = self._value(arguments, self.schema, "", "", ignored)
        return read, sorted(p for p in ignored if not any(p.startswith(f"{outer}.") for outer in ignored))

    def _value(self, value: Any, schema: Schema, schema_path: str, instance_path: str, ignored: list[str]) -> Any:
        value = _converted(value, schema)
        if rewrite := self.rewrites.get(schema_path):
            value = rewrite(value)
        if schema["type"] == "object" and is_object(value):
            return self._members(value, schema, schema_path, instance_path, ignored)
        if schema["type"] == "array":
            items = value if is_list(value) else [value]
            if schema["items"]["type"] == "string" and f"{schema_path}[]" not in self.rewrites:
                return items  # texts stay as they are, and there can be a million of them
            return [
                self._value(item, schema["items"], f"{schema_path}[]", f"{instance_path}[{i}]", ignored)
                for i, item in enumerate(items)
            ]
        return value

    def _members(
        self, given: Members, schema: Schema, schema_path: str, instance_path: str, ignored: list[str]
    ) -> Members:
        properties, required = schema["properties"], schema.get("required", ())
        members: Members = {}
        for name, value in given.items():
            if name in properties:
                if _is_absent(value, properties[name]):
                    continue
                member_path = f"{instance_path}.{name}".lstrip(".")
                member_schema_path = f"{schema_path}.{name}".lstrip(".")
                read = self._value(value, properties[name], member_schema_path, member_path, ignored)
                # An object with nothing but one empty text means it: {"base64": ""} is an empty file.
                optional = name not in required and member_schema_path not in self.may_be_empty
                optional = optional and not (read == "" and len(given) == 1)
                if not (optional and _is_empty(read)):
                    members[name] = read
            elif value is not None:
                members[name] = value
        union = self.unions.get(schema_path)
        return members if union is None else _drop_foreign_fields(members, union, properties, instance_path, ignored)


def _is_absent(value: Any, schema: Schema) -> bool:
    """null, and "" or {} where they can mean nothing."""
    free_string = schema["type"] == "string" and "enum" not in schema
    return value is None or (value == "" and not free_string) or (value == {} and schema["type"] != "object")


def _is_empty(value: Any) -> bool:
    return value == "" or value == {}


_WRITTEN_AS = {"object": ("dict",), "array": ("list",), "number": ("int", "float"), "integer": ("int",)}


def _converted(value: Any, schema: Schema) -> Any:
    """A text where something else belongs, and a float where an integer belongs, as that."""
    kind = schema["type"]
    if isinstance(value, str) and kind == "boolean":
        return {"true": True, "false": False}.get(value.strip().lower(), value)
    meant = parse_if_json(value) if isinstance(value, str) and kind != "string" else value
    if isinstance(meant, float) and kind == "integer" and meant.is_integer():
        return int(meant)
    # By its type: a boolean would pass for an integer.
    return meant if type(meant).__name__ in _WRITTEN_AS.get(kind, ()) else value


def _drop_foreign_fields(
    members: Members, union: TaggedUnion, properties: Mapping[str, Schema], instance_path: str, ignored: list[str]
) -> Members:
    """Without the members of the other words, as far as they can have been with_default in by rote.

    OpenAI's strict mode makes a model fill in every member. Empty ones go without a word, enums,
    booleans and numbers are named; a text or a list stays, and is refused: it means another word.
    """
    allowed = union.allowed(members.get(union.tag))
    if allowed is None:
        return members
    own: Members = {}
    for name, value in members.items():
        foreign = name not in allowed and name in properties
        meaning = _intent(value, properties[name]) if foreign else _CHOSEN
        if meaning == _CHOSEN:
            own[name] = value
        elif meaning == _AUTOFILLED:
            ignored.append(f"{instance_path}.{name}".lstrip("."))
    return own


_EMPTY, _AUTOFILLED, _CHOSEN = range(3)


def _intent(value: Any, schema: Schema) -> int:
    """How much a member that does not belong tells of what was meant."""
    if is_object(value):
        properties = schema.get("properties", {})
        return max(
            (_intent(member, properties[name]) if name in properties else _CHOSEN for name, member in value.items()),
            default=_EMPTY,
        )
    if value == "" or value == []:
        return _EMPTY
    if value == "none":
        return _AUTOFILLED
    if isinstance(value, list) or (isinstance(value, str) and "enum" not in schema):
        return _CHOSEN
    return _AUTOFILLED
