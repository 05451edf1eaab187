"""Tensors as arguments: the elements as an assistant writes them, turned into what the wire needs."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, with_config
from pydantic_core import PydanticCustomError

# pydantic needs this TypedDict rather than typing's on Python 3.11.
from typing_extensions import TypedDict

from ..decthings.json_codec import is_list
from ..decthings.tensors import (
    FLOAT_TYPES,
    INTEGER_TYPES,
    MEDIA_TYPES,
    TensorType,
    describe_type,
    integer_range,
    shape_problem,
)
from ..decthings.types import STRICT
from .binary_data import parse_binary, parse_media
from .validation import invalid, prefixed

_INTEGER = re.compile(r"[+-]?[0-9]{1,400}(\.0*)?")
_FLOAT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|[+-]?inf(inity)?|nan", re.IGNORECASE)
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}


@with_config(STRICT)
class TensorFields(TypedDict):
    type: TensorType
    shape: list[int]
    data: list[Any]


def check_tensor(tensor: TensorFields) -> TensorFields:
    """With `data` flat and its elements as `decthings.tensors.Tensor` takes them; files are still named."""
    elements = _flatten(tensor["data"], tensor["shape"])
    if (problem := shape_problem(tensor["shape"], len(elements))) is not None:
        raise invalid(problem)
    read = _convert_fast(elements, tensor["type"])
    return {**tensor, "data": _convert_each(elements, tensor["type"]) if read is None else read}


TensorArgument = Annotated[TensorFields, AfterValidator(check_tensor)]


def _flatten(data: list[Any], shape: Sequence[int]) -> list[Any]:
    """Nested lists flat, once they are as deep and as long as the shape says."""
    if list not in set(map(type, data)):
        return data
    rows: list[Any] = [data]
    for depth, dimension in enumerate(shape):
        if any(not is_list(row) or len(row) != dimension for row in rows):
            raise invalid(f"has nested lists that do not fit its shape {list(shape)} at depth {depth + 1}")
        rows = [item for row in rows for item in row]
    return rows


def _convert_fast(elements: list[Any], type_: TensorType) -> list[Any] | None:
    """What `_convert_each` gives, in C, where all elements are plain: a million of them are nothing unusual."""
    kinds = set(map(type, elements))
    texts = kinds == {str}
    if type_ == "string" and texts:
        return elements
    if type_ == "boolean" and kinds == {bool}:
        return elements
    if type_ not in FLOAT_TYPES | INTEGER_TYPES or not (texts or kinds <= {int, float}):
        return None
    whole = type_ in INTEGER_TYPES
    # float and int would take spaces, underscores and the digits of other scripts too.
    if (texts and not _has_only(elements, _DIGITS if whole else _FLOAT_CHARACTERS)) or (whole and float in kinds):
        return None
    try:
        values: list[Any] = list(map(int if whole else float, elements))
    except (ValueError, OverflowError):
        return None
    return values if not values or _is_within(values, type_) else None


def _has_only(texts: list[str], characters: bytes) -> bool:
    joined = "".join(texts)
    return joined.isascii() and not joined.encode().translate(None, characters)


_DIGITS = b"+-0123456789"
_FLOAT_CHARACTERS = b"+-.0123456789eE"


def _is_within(values: list[Any], type_: TensorType) -> bool:
    if type_ in INTEGER_TYPES:
        least, greatest = integer_range(type_)
        return least <= min(values) and max(values) <= greatest
    # Infinities are looked at one by one: some were written as such, others were too large.
    limit = _F32_LIMIT if type_ == "f32" else math.inf
    return all(map(math.isfinite, values)) and -limit < min(values) and max(values) < limit


def _convert_each(elements: list[Any], type_: TensorType) -> list[Any]:
    """
    Raises:
        PydanticCustomError: for the first element that does not fit, with the number of the others.
    """
    read = _reader(type_)
    result: list[Any] = []
    misfits: list[PydanticCustomError] = []
    for index, element in enumerate(elements):
        try:
            result.append(read(element))
        except _DoesNotFit:
            misfits.append(invalid(f"does not fit {describe_type(type_)}", at=("data", index)))
        except PydanticCustomError as error:
            misfits.append(prefixed(error, ("data", index)))
    if misfits:
        others = f", and neither do {len(misfits) - 1} elements behind it" if len(misfits) > 1 else ""
        raise prefixed(misfits[0], (), others)
    return result


class _DoesNotFit(ValueError):
    pass


def _reader(type_: TensorType) -> Callable[[Any], Any]:
    if type_ in FLOAT_TYPES:
        return _read_f32 if type_ == "f32" else _read_float
    if type_ in INTEGER_TYPES:
        least, greatest = integer_range(type_)
        return lambda element: _read_integer(element, least, greatest)
    if type_ in MEDIA_TYPES:
        return parse_media
    return {"boolean": _read_boolean, "string": _read_string, "binary": parse_binary}[type_]


def _read_float(element: Any) -> float:
    if type(element) is str and _FLOAT.fullmatch(element):
        value, may_be_infinite = float(element), "inf" in element.lower()
    elif type(element) is int or type(element) is float:
        # JSON has no infinities: a number that is one was too large.
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
"""From here on the nearest 32-bit float would be an infinity."""


def _read_f32(element: Any) -> float:
    value = _read_float(element)
    if math.isfinite(value) and abs(value) >= _F32_LIMIT:
        raise _DoesNotFit
    return value


def _read_integer(element: Any, least: int, greatest: int) -> int:
    if type(element) is float and element.is_integer():
        element = int(element)
    elif type(element) is str and _INTEGER.fullmatch(element):
        element = int(element.partition(".")[0])
    if type(element) is not int or not least <= element <= greatest:
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
