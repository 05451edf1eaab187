"""Tensors as arguments: the elements as an assistant writes them, converted to the types of the wire format."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from ..decthings.json_codec import is_list
from ..decthings.tensors import (
    FLOAT_TYPES,
    INTEGER_TYPES,
    MEDIA_TYPES,
    TensorType,
    describe_type,
    dimensions_problem,
    integer_range,
    shape_problem,
)
from .binary_data import parse_binary, parse_media
from .limits import ELEMENTS, MAX_PROBLEMS, require_time, slices
from .validation import invalid, prefixed

_INTEGER = re.compile(r"[+-]?[0-9]{1,400}(\.0*)?")
# Possessive quantifiers, since going back over a million digits takes long.
_FLOAT = re.compile(r"[+-]?([0-9]++(\.[0-9]*+)?+|\.[0-9]++)(e[+-]?[0-9]++)?+|[+-]?(inf(inity)?|∞)|nan", re.IGNORECASE)
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}


class TensorFields(TypedDict):
    """A tensor in the arguments."""

    type: TensorType
    shape: list[int]
    data: list[Any]


def check_tensor(tensor: TensorFields) -> TensorFields:
    """Flatten `data` and convert its elements for `decthings.tensors.Tensor`; files are not opened yet."""
    if (problem := dimensions_problem(tensor["shape"])) is not None:
        raise invalid(problem)
    elements = _flatten(tensor["data"], tensor["shape"])
    if (problem := shape_problem(tensor["shape"], len(elements))) is not None:
        raise invalid(problem)
    return {**tensor, "data": _convert(elements, tensor["type"])}


TensorArgument = Annotated[TensorFields, AfterValidator(check_tensor)]


def _flatten(data: list[Any], shape: Sequence[int]) -> list[Any]:
    """Flatten nested arrays, after checking their depth and lengths against the shape."""
    if not any(list in set(map(type, part)) for part in slices(data)):
        return data
    rows: list[Any] = [data]
    for depth, dimension in enumerate(shape):
        require_time()
        if any(not is_list(row) or len(row) != dimension for row in rows):
            raise invalid(f"has nested arrays that do not fit its shape {list(shape)} at depth {depth + 1}")
        rows = [item for row in rows for item in row]
    return rows


def _convert(elements: list[Any], type_: TensorType) -> list[Any]:
    """Convert the elements.

    Raises:
        PydanticCustomError: for the first element that does not fit, with the number of the others.
    """
    converted: list[Any] = []
    misfits = _Misfits()
    for number, part in enumerate(slices(elements)):
        fast = _convert_fast(part, type_)
        converted += _convert_each(part, type_, number * ELEMENTS, misfits) if fast is None else fast
        if misfits.count >= MAX_PROBLEMS:
            break
    if misfits.first is not None:
        raise prefixed(misfits.first, (), _others(misfits.count - 1))
    return converted


def _others(count: int) -> str:
    if count <= 0:
        return ""
    at_least = "at least " if count >= MAX_PROBLEMS - 1 else ""
    return ", nor does 1 later element" if count == 1 else f", nor do {at_least}{count} later elements"


@dataclass
class _Misfits:
    """The elements that do not fit: how many there are, and what is wrong with the first one."""

    first: PydanticCustomError | None = None
    count: int = 0

    def add(self, error: PydanticCustomError) -> None:
        self.first = self.first or error
        self.count += 1


def _convert_fast(elements: list[Any], type_: TensorType) -> list[Any] | None:
    """Like `_convert_each`, but fast, for plain elements; None if it is not possible. A million elements are common."""
    kinds = set(map(type, elements))
    all_strings = kinds == {str}
    if type_ == "string" and all_strings:
        return elements
    if type_ == "boolean" and kinds == {bool}:
        return elements
    if type_ not in FLOAT_TYPES | INTEGER_TYPES or not (all_strings or kinds <= {int, float}):
        return None
    integers = type_ in INTEGER_TYPES
    # float and int would accept spaces, underscores and the digits of other scripts too.
    unusual = all_strings and not _has_only(elements, _DIGITS if integers else _FLOAT_CHARACTERS)
    if unusual or (integers and float in kinds):
        return None
    try:
        values: list[Any] = list(map(int if integers else float, elements))
    except (ValueError, OverflowError):
        return None
    return values if not values or _is_within(values, type_) else None


def _has_only(strings: list[str], characters: bytes) -> bool:
    joined = "".join(strings)
    return joined.isascii() and not joined.encode().translate(None, characters)


_DIGITS = b"+-0123456789"
_FLOAT_CHARACTERS = b"+-.0123456789eE"


def _is_within(values: list[Any], type_: TensorType) -> bool:
    if type_ in INTEGER_TYPES:
        smallest, largest = integer_range(type_)
        return smallest <= min(values) and max(values) <= largest
    # Infinities need `_convert_each`: some were written as such, others are numbers that were too large.
    limit = _F32_LIMIT if type_ == "f32" else math.inf
    return all(map(math.isfinite, values)) and -limit < min(values) and max(values) < limit


def _convert_each(elements: list[Any], type_: TensorType, offset: int, misfits: _Misfits) -> list[Any]:
    """Convert the elements one after the other, until there are too many misfits."""
    convert = _converter(type_)
    converted: list[Any] = []
    for index, element in enumerate(elements, offset):
        try:
            converted.append(convert(element))
        except _DoesNotFit:
            misfits.add(invalid(f"does not fit {describe_type(type_)}", at=("data", index)))
        except PydanticCustomError as error:
            misfits.add(prefixed(error, ("data", index)))
        if misfits.count >= MAX_PROBLEMS:
            break
    return converted


class _DoesNotFit(ValueError):
    pass


def _converter(type_: TensorType) -> Callable[[Any], Any]:
    if type_ in FLOAT_TYPES:
        return _read_f32 if type_ == "f32" else _read_float
    if type_ in INTEGER_TYPES:
        smallest, largest = integer_range(type_)
        return lambda element: _read_integer(element, smallest, largest)
    if type_ in MEDIA_TYPES:
        return parse_media
    return {"boolean": _read_boolean, "string": _read_string, "binary": parse_binary}[type_]


def _read_float(element: Any) -> float:
    if type(element) is str and _FLOAT.fullmatch(element):
        written = element.lower().replace("∞", "inf")
        value, may_be_infinite = float(written), "inf" in written
    elif type(element) is int or type(element) is float:
        # JSON has no infinities: an infinite number was too large for a float.
        value, may_be_infinite = _as_float(element), False
    else:
        raise _DoesNotFit
    if math.isinf(value) and not may_be_infinite:
        raise _DoesNotFit
    return value


def _as_float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        raise _DoesNotFit from None


_F32_LIMIT = (2 - 2**-24) * 2.0**127
"""From this value on, the nearest 32-bit float is an infinity."""


def _read_f32(element: Any) -> float:
    value = _read_float(element)
    if math.isfinite(value) and abs(value) >= _F32_LIMIT:
        raise _DoesNotFit
    return value


def _read_integer(element: Any, smallest: int, largest: int) -> int:
    if type(element) is float and element.is_integer():
        element = int(element)
    elif type(element) is str and _INTEGER.fullmatch(element):
        element = int(element.partition(".")[0])
    if type(element) is not int or not smallest <= element <= largest:
        raise _DoesNotFit
    return element


def _read_boolean(element: Any) -> bool:
    value = _BOOLEANS.get(str(element).lower()) if isinstance(element, (bool, int, str)) else None
    if value is None:
        raise _DoesNotFit
    return value


def _read_string(element: Any) -> str:
    if not isinstance(element, str):
        raise _DoesNotFit
    return element
