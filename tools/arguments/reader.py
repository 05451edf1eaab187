"""Reading arguments tolerantly: common mistakes of assistants and client frameworks are corrected.

The published inputSchema says which type belongs where, so this module follows it and knows no tool. JSON in a
string is parsed where the schema has an object or an array, null and empty fields are treated as absent, a single
value becomes an array of one item, and "4" becomes a number where the schema has a number. A tool adds `rewrites`
for forms of its own, and `unions`, whose fields depend on a type. Values that cannot be read stay unchanged, and
`validation` refuses them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..decthings.json_codec import is_list, is_object, parse_if_json
from .limits import MAX_PROBLEMS, require_time

Schema = Mapping[str, Any]
Members = dict[str, Any]


@dataclass(frozen=True)
class TaggedUnion:
    """An object whose fields depend on the value of one of them, the discriminator `tag`."""

    tag: str
    members: Mapping[str, frozenset[str]]

    def allowed(self, value: object) -> frozenset[str] | None:
        """The fields that belong to this value of the discriminator; None if it is not a possible value."""
        own = self.members.get(value) if isinstance(value, str) else None
        return None if own is None else own | {self.tag}

    def tags_with(self, member: str) -> list[str]:
        """The values of the discriminator that the field belongs to."""
        return [value for value, members in self.members.items() if member in members]


@dataclass
class Reader:
    """Reads the arguments of one tool. Paths in the schema are field names joined by dots, with `[]` after an array."""

    schema: Schema
    rewrites: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict[str, Callable[[Any], Any]])
    unions: Mapping[str, TaggedUnion] = field(default_factory=dict[str, TaggedUnion])
    autofilled: Mapping[str, Callable[[Members], Collection[str]]] = field(
        default_factory=dict[str, Callable[[Members], Collection[str]]]
    )
    """By the path of an object: which of its fields were filled in automatically; they are left out, and reported."""
    may_be_empty: frozenset[str] = frozenset()
    """Paths of optional fields that are kept when they are empty."""

    def read(self, arguments: Members) -> tuple[Members, list[str]]:
        """The arguments as they were meant, and the paths of the fields that were ignored."""
        ignored: list[str] = []
        meant = self._value(arguments, self.schema, "", "", ignored)
        outer = frozenset(ignored)
        return meant, sorted(path for path in ignored if outer.isdisjoint(_parents(path)))

    def _value(self, value: Any, schema: Schema, schema_path: str, instance_path: str, ignored: list[str]) -> Any:
        require_time()
        value = _converted(value, schema)
        if rewrite := self.rewrites.get(schema_path):
            value = rewrite(value)
        if schema["type"] == "object" and is_object(value):
            return self._members(value, schema, schema_path, instance_path, ignored)
        if schema["type"] == "array":
            items = value if is_list(value) else [value]
            if schema["items"]["type"] == "string" and f"{schema_path}[]" not in self.rewrites:
                return items  # strings stay unchanged, and there can be a million of them
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
        unknown = 0
        autofilled = self.autofilled[schema_path](given) if schema_path in self.autofilled else ()
        for name, value in given.items():
            if name in properties:
                member_path = f"{instance_path}.{name}".lstrip(".")
                if name in autofilled:
                    ignored.append(member_path)
                if name in autofilled or _is_absent(value, properties[name]):
                    continue
                member_schema_path = f"{schema_path}.{name}".lstrip(".")
                read = self._value(value, properties[name], member_schema_path, member_path, ignored)
                # A single empty string is meant as it is: {"base64": ""} is an empty file.
                optional = name not in required and member_schema_path not in self.may_be_empty
                optional = optional and not (read == "" and len(given) == 1)
                if not (optional and _is_empty(read)):
                    members[name] = read
            elif value is not None and unknown < MAX_PROBLEMS:  # each of them is a problem
                members[name] = value
                unknown += 1
        union = self.unions.get(schema_path)
        return members if union is None else _drop_foreign_fields(members, union, properties, instance_path, ignored)


def _parents(path: str) -> Iterator[str]:
    """The paths of the objects around a field."""
    end = path.rfind(".")
    while end > 0:
        yield path[:end]
        end = path.rfind(".", 0, end)


def _is_absent(value: Any, schema: Schema) -> bool:
    """Whether the value is null, or "" or {} where the schema does not allow them."""
    free_string = schema["type"] == "string" and "enum" not in schema
    return value is None or (value == "" and not free_string) or (value == {} and schema["type"] != "object")


def _is_empty(value: Any) -> bool:
    return value == "" or value == {}


_WRITTEN_AS = {"object": ("dict",), "array": ("list",), "number": ("int", "float"), "integer": ("int",)}


def _converted(value: Any, schema: Schema) -> Any:
    """The value converted to the type in the schema: from a string, or from a float to an integer."""
    kind = schema["type"]
    if isinstance(value, str) and kind == "boolean":
        return {"true": True, "false": False}.get(value.strip().lower(), value)
    if isinstance(value, str) and kind == "integer" and re.fullmatch(r"\s*-?[0-9]+\.0+\s*", value):
        return int(value.partition(".")[0])  # a float has no room for all digits
    meant = parse_if_json(value) if isinstance(value, str) and kind != "string" else value
    if isinstance(meant, float) and kind == "integer" and meant.is_integer():
        return int(meant)
    # Compares the exact type: a boolean is an instance of int.
    return meant if type(meant).__name__ in _WRITTEN_AS.get(kind, ()) else value


def _drop_foreign_fields(
    members: Members, union: TaggedUnion, properties: Mapping[str, Schema], instance_path: str, ignored: list[str]
) -> Members:
    """Drop the fields that belong to another value of the discriminator, if they were filled in automatically.

    OpenAI's strict mode makes a model fill in every field. Empty ones are dropped silently; enums, booleans and
    numbers are dropped and reported as ignored; a string or an array is kept, and refused later: it was chosen.
    """
    allowed = union.allowed(members.get(union.tag))
    if allowed is None:
        return members
    own: Members = {}
    for name, value in members.items():
        foreign = name not in allowed and name in properties
        intent = _intent(value, properties[name]) if foreign else _CHOSEN
        if intent == _CHOSEN:
            own[name] = value
        elif intent == _AUTOFILLED:
            ignored.append(f"{instance_path}.{name}".lstrip("."))
    return own


_EMPTY, _AUTOFILLED, _CHOSEN = range(3)


def _intent(value: Any, schema: Schema) -> int:
    """Whether a field that does not belong here is empty, was filled in automatically, or was chosen."""
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
