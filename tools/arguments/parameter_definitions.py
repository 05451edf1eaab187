"""Parameter definitions as arguments: their schema, and the defaults of omitted fields."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..decthings.json_codec import is_object
from ..decthings.tensors import TENSOR_TYPES
from ..decthings.types import DEFINITION_LISTS
from .schema import INTEGER, Node, described, list_of, object_of, string


def parameter_definitions_schema(*, full: bool, description: str) -> Node:
    """The schema of the four lists, which are alike. Unless `full`, only the first one has the details."""
    first, *others = DEFINITION_LISTS
    lists = {first: _list_of_definitions(full=True), **{name: _list_of_definitions(full=full) for name in others}}
    return object_of(lists, description=description)


def _list_of_definitions(*, full: bool) -> Node:
    """The schema of a list of parameter definitions."""
    shape = "[] one value, [13] vector, -1 any length." if full else ""
    rules = {
        "shape": list_of(INTEGER, shape),
        "allowedTypes": list_of(string(enum=TENSOR_TYPES if full else ())),
        **({"annotations": list_of(string())} if full else {}),
    }
    properties = {
        "name": string(),
        "required": described("boolean", "Default true." if full else ""),
        "rules": object_of(rules, ("shape", "allowedTypes") if full else ()),
    }
    return list_of(object_of(properties, ("name", "rules") if full else ()))


def rewrites(path: str, *, may_be_empty: bool = False) -> dict[str, Callable[[Any], Any]]:
    """Rewrites for the `Reader`, of definitions at `path`. Whether four empty lists are kept depends on the tool."""
    lists = [f"{path}.{name}[]" for name in DEFINITION_LISTS]
    return {
        path: _fill_lists if may_be_empty else _fill_or_leave_out,
        **dict.fromkeys(lists, with_default("required", True)),
        **{f"{item}.rules": with_default("annotations", []) for item in lists},
    }


def _fill_lists(definitions: Any) -> Any:
    """Add the omitted lists as empty ones."""
    if not is_object(definitions) or not definitions:
        return definitions
    lists: dict[str, Any] = {name: definitions.get(name) or [] for name in DEFINITION_LISTS}
    return {**definitions, **lists}


def _fill_or_leave_out(definitions: Any) -> Any:
    """Like `_fill_lists`, but an empty object when all lists are empty."""
    filled = _fill_lists(definitions)
    return filled if not is_object(filled) or any(filled.values()) else {}


def with_default(name: str, value: Any) -> Callable[[Any], Any]:
    """A rewrite that sets the field `name` if it is unset."""

    def fill(members: Any) -> Any:
        return {**members, name: value} if is_object(members) and is_unset(members.get(name)) else members

    return fill


def is_unset(value: Any) -> bool:
    return value is None or value == "" or value == {}
