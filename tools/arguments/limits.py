"""Limits on the work that checking arguments makes: it ends after so many problems, or after so many seconds.

Pydantic makes an error object for every problem, and a list of a million items can have two million of them. So the
items are validated in slices, and after the slice with the twentieth problem no further one is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import islice
from time import monotonic
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError, SchemaValidator
from pydantic_core.core_schema import no_info_wrap_validator_function

from ..decthings.json_codec import is_list, is_object
from ..results.errors import ArgumentsTooLarge

MAX_PROBLEMS = 20
"""So many are reported; when they are found, checking stops."""

SECONDS = 10.0
"""For reading and checking the arguments of one call."""

UNCHECKED = "unchecked"
"""The type of the error that stands for the items that were not checked, since there were problems enough."""

_LARGE = 64 * 1024
_VALUE_SIZE = 8
_SLICE = 64
ELEMENTS = 20_000
"""Of a tensor, in one slice of them."""


@dataclass
class _Work:
    deadline: float = math.inf
    problems: int = 0


_work: ContextVar[_Work] = ContextVar("_work")


@contextmanager
def time_limit() -> Generator[None]:
    """Makes `require_time` raise after `SECONDS`, within the block."""
    token = _work.set(_Work(monotonic() + SECONDS))
    try:
        yield
    finally:
        _work.reset(token)


def require_time() -> None:
    """Call it now and then in long loops.

    Raises:
        ArgumentsTooLarge: the time is up.
    """
    work = _work.get(None)
    if work is not None and monotonic() > work.deadline:
        raise ArgumentsTooLarge(SECONDS)


def slices(items: list[Any]) -> Iterator[list[Any]]:
    """Parts of a long list of elements. Between them other threads run, which wait while a function in C does."""
    for start in range(0, len(items), ELEMENTS):
        require_time()
        yield items[start : start + ELEMENTS]


def are_large(arguments: Any) -> bool:
    """Whether arguments take long to check: about 64 KiB as JSON or more. No more than that is looked at."""
    size = 0
    rest = [arguments]
    while rest:
        value = rest.pop()
        size += len(value) if isinstance(value, str) else _VALUE_SIZE
        if is_object(value):
            size += sum(map(len, islice(value, _LARGE // _VALUE_SIZE)))
        if is_object(value) or is_list(value):
            if size + len(value) * _VALUE_SIZE > _LARGE:
                return True
            rest += value.values() if is_object(value) else value
        if size > _LARGE:
            return True
    return False


class LimitedValidator:
    """Validates as a type like pydantic, but stops soon after `MAX_PROBLEMS` errors."""

    def __init__(self, type_: Any) -> None:
        self._validator = SchemaValidator(_in_slices(TypeAdapter[Any](type_).core_schema))

    def validate(self, value: Any) -> Any:
        """The validated value.

        Raises:
            ValidationError: with errors of the type `UNCHECKED` where it stopped.
            ArgumentsTooLarge
        """
        outer = _work.get(None)
        token = _work.set(_Work(outer.deadline if outer else math.inf))
        try:
            return self._validator.validate_python(value)
        finally:
            _work.reset(token)


def _in_slices(schema: Any) -> Any:
    """A core schema whose lists are validated a slice at a time, except for lists of anything."""
    if is_list(schema):
        return list(map(_in_slices, schema))
    if not is_object(schema):
        return schema
    changed: Any = {name: _in_slices(node) for name, node in schema.items()}
    if changed.get("type") != "list" or changed.get("items_schema", {"type": "any"})["type"] == "any":
        return changed
    ref = changed.pop("ref", None)
    return no_info_wrap_validator_function(_validate_list, changed, ref=ref)


def _validate_list(value: Any, validate: Callable[[Any], Any]) -> Any:
    if not is_list(value) or not value:
        return validate(value)
    work = _work.get()
    found_before = work.problems
    validated: list[Any] = []
    errors: list[InitErrorDetails] = []
    for start in range(0, len(value), _SLICE):
        require_time()
        if work.problems >= MAX_PROBLEMS:
            errors.append(InitErrorDetails(type=PydanticCustomError(UNCHECKED, "not checked"), input=None))
            break
        try:
            validated += validate(value[start : start + _SLICE])
        except ValidationError as error:
            errors += (_error(details, start) for details in error.errors(include_url=False))
            # Those of lists within were counted there too.
            work.problems = found_before + len(errors)
    if errors:
        raise ValidationError.from_exception_data("list", errors)
    return validated


def _error(details: ErrorDetails, offset: int) -> InitErrorDetails:
    """The error again, as one of the whole list."""
    kind, context = details["type"], details.get("ctx", {})
    location = tuple(
        part + offset if not depth and isinstance(part, int) else part for depth, part in enumerate(details["loc"])
    )
    of_ours = "problem" in context or kind == UNCHECKED
    return InitErrorDetails(
        type=PydanticCustomError(kind, "{problem}", context) if of_ours else kind,  # pyright: ignore[reportArgumentType]
        loc=location,
        input=details["input"],
        ctx=context,
    )
