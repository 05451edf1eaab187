"""Strict validation of the arguments: all problems at once, in sentences that an assistant can act on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from ..decthings.json_codec import is_list, is_object
from ..results.errors import InvalidArguments, Problem
from ..results.text import closest_match, join_words, sanitize
from .limits import MAX_PROBLEMS, UNCHECKED, LimitedValidator, require_time, slices
from .reader import Schema, TaggedUnion

_TYPES = {"object": "an object", "array": "an array", "string": "a string", "integer": "an integer",
          "number": "a number", "boolean": "a boolean"}  # fmt: skip
_LIMITS = {
    "greater_than": "must be greater than {gt:g}",
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
}


def invalid(problem: str, *, at: Sequence[str | int] = (), allowed: list[str] | None = None) -> PydanticCustomError:
    """The error that a validator raises. `at` is the path from the validated value to the invalid one."""
    return PydanticCustomError("invalid", "{problem}", {"problem": problem, "at": at, "allowed": allowed})


def prefixed(error: PydanticCustomError, at: Sequence[str | int], more: str = "") -> PydanticCustomError:
    """An error of `invalid` as seen from an outer value: with a longer path, and `more` text."""
    context = error.context or {}
    return invalid(context["problem"] + more, at=(*at, *context["at"]), allowed=context["allowed"])


def check(value: Any, validator: LimitedValidator, schema: Schema, unions: Mapping[str, TaggedUnion]) -> Any:
    """Validate a value.

    Raises:
        InvalidArguments: with a `Problem` for each error, up to `MAX_PROBLEMS`.
        ArgumentsTooLarge
    """
    problems = [describe(names, _SURROGATE) for names in islice(_not_utf8(value), MAX_PROBLEMS)]
    errors: list[ErrorDetails] = []
    try:
        checked = validator.validate(value)
    except ValidationError as error:
        errors = [details for details in error.errors(include_url=False) if details["type"] != UNCHECKED]
    else:
        if not problems:
            return checked
    found = len(problems) + len(errors)
    problems += [_explain(details, value, schema, unions) for details in errors[: MAX_PROBLEMS - len(problems)]]
    raise invalid_arguments(problems, found)


def invalid_arguments(problems: Sequence[Problem], found: int) -> InvalidArguments:
    """The error for arguments with `found` problems, of which the first ones are listed."""
    at_least = "At least " if found >= MAX_PROBLEMS else ""
    return InvalidArguments(problems, f"{at_least}{count_wrong(found)}; nothing was sent to Decthings.")


def count_wrong(count: int) -> str:
    return "One argument is wrong" if count == 1 else f"{count} arguments are wrong"


def problem_of(error: PydanticCustomError, names: Sequence[str | int], given: object = None) -> Problem:
    """An error of `invalid`, for the argument at the path `names`; the one meant is looked for by what was `given`."""
    context = error.context or {}
    return describe([*names, *context["at"]], context["problem"], context["allowed"], given)


_SURROGATE = "has an unpaired surrogate, which UTF-8 cannot encode; leave that character out"


def _not_utf8(arguments: Any) -> Iterator[list[Any]]:
    """The paths of strings that UTF-8 cannot encode. Arrays of plain items are checked many at a time."""
    rest: list[tuple[Any, _Path]] = [(arguments, None)]
    while rest:
        value, path = rest.pop()
        require_time()
        if isinstance(value, str):
            if not _is_utf8(value):
                yield _names_of(path)
        elif is_object(value):
            rest += [(member, (path, name)) for name, member in reversed(value.items())]
        elif is_list(value) and not _all_utf8(value):
            rest += [(value[index], (path, index)) for index in reversed(range(len(value)))]


_Path = tuple[Any, str | int] | None
"""Of the outer value, and the name in it: a copy of the whole path for each value would be quadratic in the depth."""


def _names_of(path: _Path) -> list[Any]:
    names: list[Any] = []
    while path is not None:
        path, name = path
        names.append(name)
    return names[::-1]


def _is_utf8(string: str) -> bool:
    try:
        return string.isascii() or bool(string.encode())
    except UnicodeEncodeError:
        return False


_PLAIN = frozenset({int, float, bool, type(None)})


def _all_utf8(items: list[Any]) -> bool:
    """A fast check for long arrays of tensor elements."""
    return all(map(_are_plain_utf8, slices(items)))


def _are_plain_utf8(items: list[Any]) -> bool:
    kinds = set(map(type, items))
    return kinds <= _PLAIN or (kinds == {str} and _is_utf8("".join(items)))


def _explain(details: ErrorDetails, arguments: Any, schema: Schema, unions: Mapping[str, TaggedUnion]) -> Problem:
    names = _names_in(details["loc"], unions)
    context = details.get("ctx", {})
    if details["type"] == "invalid":
        return describe([*names, *context["at"]], context["problem"], context["allowed"])
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
        needed = node.get("required")
        about = f"is missing; {_required_because(names, arguments, unions)}{_explanation(node)}"
        return describe(names, about, None if needed else allowed)
    if kind == "literal_error" and isinstance(details["input"], str):
        return describe(names, "is not a possible value", allowed, details["input"])
    if kind in _LIMITS:
        return describe(names, _LIMITS[kind].format(**context))
    wanted = _TYPES[node["type"]] if "type" in node else "another type"
    return describe(names, f"must be {wanted}, not {_json_type(details['input'])}", allowed)


def _explanation(node: Schema) -> str:
    """What a missing field must have, or else its description in the schema, unless its possible values say it all."""
    if "required" in node:
        return f", with {join_words(node['required'], 'and')}"
    if "description" not in node or "enum" in node:
        return ""
    description = node["description"].rstrip(".")
    return f": {description[0].lower()}{description[1:]}"


def _unknown_name(names: list[Any], arguments: Any, schema: Schema, unions: Mapping[str, TaggedUnion]) -> Problem:
    *parents, name = names
    known = _schema_at(schema, parents).get("properties", {})
    union = unions.get(_schema_path(parents))
    tag = _value_at(arguments, parents).get(union.tag) if union else None
    allowed = union.allowed(tag) if union else None
    if union and name in known:
        others = join_words(f'"{other}"' for other in union.tags_with(name))
        problem = f'does not belong to {union.tag} "{tag}", only to {others}: leave it out, or change {union.tag}'
        return describe(names, problem)
    return describe(names, "is not a known name", [n for n in known if allowed is None or n in allowed], name)


def _required_because(names: list[Any], arguments: Any, unions: Mapping[str, TaggedUnion]) -> str:
    union = unions.get(_schema_path(names[:-1]))
    if union is None or names[-1] == union.tag:
        return "it is required"
    return f'{union.tag} "{_value_at(arguments, names[:-1]).get(union.tag)}" needs it'


def describe(names: list[Any], problem: str, allowed: list[str] | None = None, given: object = None) -> Problem:
    """A problem.

    Args:
        names: the path of the value in the arguments: names of fields, and indexes.
        allowed: the possible values. The one that is nearest to `given` is probably meant.
    """
    path = "".join(f"[{n}]" if isinstance(n, int) else f".{sanitize(str(n), 60)}" for n in names).lstrip(".")
    result: Problem = {"path": path or "arguments", "problem": problem}
    if allowed:
        result["allowed"] = allowed
        if (match := closest_match(given, allowed)) is not None:
            result["nearest"] = match
    return result


def _names_in(location: Sequence[str | int], unions: Mapping[str, TaggedUnion]) -> list[Any]:
    """A pydantic location without the discriminator values, each of which follows the name of its union."""
    names: list[Any] = []
    tag_skipped_at = -1
    for part in location:
        if _schema_path(names) in unions and tag_skipped_at != len(names):
            tag_skipped_at = len(names)
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
    names = {
        "bool": "a boolean",
        "str": "a string",
        "dict": "an object",
        "list": "an array",
        "int": "an integer",
        "float": "a number with a fraction",
    }
    return names.get(type(value).__name__, "another type")
