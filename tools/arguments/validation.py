"""Checking what was read, strictly, and telling every problem at once in words an assistant can act on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from ..decthings.json_codec import is_list, is_object
from ..results.errors import InvalidArguments, Problem
from ..results.text import closest_match, join_words, sanitize
from .reader import Schema, TaggedUnion

T = TypeVar("T")

_MAX_PROBLEMS = 20

_KINDS = {"object": "an object", "array": "a list", "string": "a text", "integer": "a whole number",
          "number": "a number", "boolean": "true or false"}  # fmt: skip


_LIMITS = {"greater_than_equal": "has to be {ge} or more", "less_than_equal": "has to be {le} or less"}


def invalid(problem: str, *, at: Sequence[str | int] = (), allowed: list[str] | None = None) -> PydanticCustomError:
    """What a validator raises. `at` leads from the value that is validated to the one that is invalid."""
    return PydanticCustomError("invalid", "{problem}", {"problem": problem, "at": at, "allowed": allowed})


def prefixed(error: PydanticCustomError, at: Sequence[str | int], more: str = "") -> PydanticCustomError:
    """An error of `invalid`, seen from further out, with more to say."""
    context = error.context or {}
    return invalid(context["problem"] + more, at=(*at, *context["at"]), allowed=context["allowed"])


def check(value: Any, adapter: TypeAdapter[T], schema: Schema, unions: Mapping[str, TaggedUnion]) -> T:
    """
    Raises:
        InvalidArguments: with a `Problem` for everything that is invalid.
    """
    problems = [_problem(names, _SURROGATE) for names in _not_utf8(value, [])]
    try:
        checked = adapter.validate_python(value)
    except ValidationError as error:
        problems += [_explain(details, value, schema, unions) for details in error.errors(include_url=False)]
    else:
        if not problems:
            return checked
    count = "One argument is" if len(problems) == 1 else f"{len(problems)} arguments are"
    raise InvalidArguments(problems[:_MAX_PROBLEMS], f"{count} wrong; nothing was sent to Decthings.")


_SURROGATE = "holds half of a surrogate pair, which UTF-8 cannot carry; leave that character out"


def _not_utf8(value: Any, names: list[Any]) -> Iterator[list[Any]]:
    """Where texts are that UTF-8 cannot carry. Transaction of elements are looked through as one."""
    if isinstance(value, str):
        if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
            yield names
    elif is_object(value):
        for name, member in value.items():
            yield from _not_utf8(member, [*names, name])
    elif is_list(value) and not _all_utf8(value):
        for index, item in enumerate(value):
            yield from _not_utf8(item, [*names, index])


_PLAIN = frozenset({int, float, bool, type(None)})


def _all_utf8(items: list[Any]) -> bool:
    """At once, for long rows of elements."""
    kinds = set(map(type, items))
    return kinds <= _PLAIN or (kinds == {str} and "".join(items).isascii())


def _explain(details: ErrorDetails, arguments: Any, schema: Schema, unions: Mapping[str, TaggedUnion]) -> Problem:
    names = _names_in(details["loc"], unions)
    context = details.get("ctx", {})
    if details["type"] == "invalid":
        return _problem([*names, *context["at"]], context["problem"], context["allowed"])
    kind = details["type"]
    if kind in ("union_tag_not_found", "union_tag_invalid") and is_object(details["input"]):
        union = unions[_schema_path(names)]
        given = details["input"]
        names.append(union.tag)
        kind, details["input"] = ("literal_error", given[union.tag]) if union.tag in given else ("missing", None)
    if kind == "extra_forbidden":
        return _unknown_name(names, arguments, schema, unions)
    node = _schema_at(schema, names)
    allowed = list(node.get("enum") or node.get("properties", ())) or None
    if kind == "missing":
        return _problem(names, f"is missing; {_required_because(names, arguments, unions)}{_hint(node)}", allowed)
    if kind == "literal_error" and isinstance(details["input"], str):
        return _problem(names, "is not a possible value", allowed, details["input"])
    if kind in _LIMITS:
        return _problem(names, _LIMITS[kind].format(**context))
    wanted = _KINDS[node["type"]] if "type" in node else "something else"
    return _problem(names, f"has to be {wanted}, and is {_json_type(details['input'])}", allowed)


def _hint(node: Schema) -> str:
    """What the schema says of a member whose values it does not list."""
    return f" ({node['description'].rstrip('.')})" if "description" in node and "enum" not in node else ""


def _unknown_name(names: list[Any], arguments: Any, schema: Schema, unions: Mapping[str, TaggedUnion]) -> Problem:
    *parents, name = names
    known = _schema_at(schema, parents).get("properties", {})
    union = unions.get(_schema_path(parents))
    word = _value_at(arguments, parents).get(union.tag) if union else None
    allowed = union.allowed(word) if union else None
    if union and name in known:
        words = join_words(f'"{other}"' for other in union.tags_with(name))
        problem = f'does not belong to {union.tag} "{word}", only to {words}: leave it out, or change {union.tag}'
        return _problem(names, problem)
    return _problem(names, "is not a known name", [n for n in known if allowed is None or n in allowed], name)


def _required_because(names: list[Any], arguments: Any, unions: Mapping[str, TaggedUnion]) -> str:
    union = unions.get(_schema_path(names[:-1]))
    if union is None or names[-1] == union.tag:
        return "it is required"
    return f'{union.tag} "{_value_at(arguments, names[:-1]).get(union.tag)}" needs it'


def _problem(names: list[Any], problem: str, allowed: list[str] | None = None, given: object = None) -> Problem:
    path = "".join(f"[{n}]" if isinstance(n, int) else f".{sanitize(str(n), 60)}" for n in names).lstrip(".")
    found: Problem = {"path": path or "(arguments)", "problem": problem}
    if allowed:
        found["allowed"] = allowed
        if (word := closest_match(given, allowed)) is not None:
            found["nearest"] = word
    return found


def _names_in(location: Sequence[str | int], unions: Mapping[str, TaggedUnion]) -> list[Any]:
    """A pydantic location without the words of the unions, each of which stands behind the union's name."""
    names: list[Any] = []
    word_passed_at = -1
    for part in location:
        if _schema_path(names) in unions and word_passed_at != len(names):
            word_passed_at = len(names)
        else:
            names.append(part)
    return names


def _schema_path(names: list[Any]) -> str:
    return "".join("[]" if isinstance(name, int) else f".{name}" for name in names).lstrip(".")


def _schema_at(schema: Schema, names: list[Any]) -> Schema:
    for name in names:
        schema = schema.get("items", {}) if isinstance(name, int) else schema.get("properties", {}).get(name, {})
    return schema


def _value_at(value: Any, names: list[Any]) -> dict[str, Any]:
    for name in names:
        value = value[name]
    return cast(dict[str, Any], value)


def _json_type(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    names = {
        "str": "a text",
        "dict": "an object",
        "list": "a list",
        "int": "a whole number",
        "float": "a number with decimals",
    }
    return names.get(type(value).__name__, "something else")
