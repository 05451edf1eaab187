"""Inputs for a comparison when the user gives none: made from the definitions, the same each time."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any

from ..arguments.validation import invalid, invalid_arguments, problem_of
from ..decthings import Tensor, TensorType, types
from ..decthings.tensors import FLOAT_TYPES, INTEGER_TYPES
from .definitions import InputDefinition

_MAX_ELEMENTS = 4_000_000

HOW = "floats from 0 to 1, u8 from 0 to 255, other integers from 0 to 9, open dimensions of 1; the same each time"
"""What they are like, for the result."""


def make_inputs(definitions: Sequence[InputDefinition]) -> list[types.ParameterProvider]:
    """One tensor for each required input.

    Raises:
        InvalidArguments: there are inputs for which none can be made.
    """
    wanted = [definition for definition in definitions if definition.required]
    problems = [
        problem_of(invalid(f"lacks {definition}, for which no input can be made"), ("params",))
        for definition in wanted
        if _maker(definition) is None or not 0 < _count(definition) <= _MAX_ELEMENTS
    ]
    if not definitions:
        problems = [problem_of(invalid("is missing: the model does not say what it takes"), ("params",))]
    if problems:
        raise invalid_arguments(problems, len(problems))
    numbers = random.Random(0)  # noqa: S311 - no secrets
    return [{"name": d.name, "data": {"type": "data", "data": [_tensor(d, numbers)]}} for d in wanted]


def _shape(definition: InputDefinition) -> list[int]:
    return [1 if dimension < 0 else dimension for dimension in definition.shape or ()]


def _count(definition: InputDefinition) -> int:
    return 0 if definition.shape is None else math.prod(_shape(definition))


def _tensor(definition: InputDefinition, numbers: random.Random) -> Tensor:
    made = _maker(definition)
    assert made is not None  # noqa: S101 - that was checked
    type_, make = made
    return Tensor(type_, _shape(definition), [make(numbers) for _ in range(_count(definition))])


def _bytes(numbers: random.Random) -> int:
    return numbers.randint(0, 255)


def _digits(numbers: random.Random) -> int:
    return numbers.randint(0, 9)


def _maker(definition: InputDefinition) -> tuple[TensorType, Callable[[random.Random], Any]] | None:
    for type_ in definition.types:
        if type_ in FLOAT_TYPES:
            return type_, lambda numbers: round(numbers.random(), 3)
        if type_ in INTEGER_TYPES:
            # Indexes into a table of words or classes must not be large.
            return type_, _bytes if type_ == "u8" else _digits
        if type_ == "boolean":
            return type_, lambda numbers: numbers.random() < 0.5
        if type_ == "string":
            return type_, lambda numbers: f"text {numbers.randint(0, 9)}"
    return None
