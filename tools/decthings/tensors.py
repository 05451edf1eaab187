"""The binary format of Decthings' tensors.

    u8 type · u8 number of dimensions · a varint for each dimension · elements in row-major order

Fixed-size elements follow directly, little endian. Elements of variable size are preceded by one varint
with the length of all of them, and each by a varint with its own; an image, audio or video element is
u8 length of the format · format · data. The shape [] is one element, a dimension of 0 makes none.
Several tensors of one parameter follow each other in one blob.
Source: the published tensor reference; byte for byte what the official Rust client writes.
"""

from __future__ import annotations

import math
import struct
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal, cast, get_args

from .blobs import Blob, join, size_of
from .errors import TensorError
from .varint import MalformedFrame, decode_varint, encode_varint

TensorType = Literal[
    "f32", "f64", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64",
    "string", "binary", "boolean", "image", "audio", "video",
]  # fmt: skip
"""In the order of their codes on the wire, which start at 1."""

TENSOR_TYPES: tuple[TensorType, ...] = get_args(TensorType)
FLOAT_TYPES = frozenset({"f32", "f64"})
INTEGER_TYPES = frozenset({"i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64"})
MEDIA_TYPES = frozenset({"image", "audio", "video"})

_STRUCT_CODES = {
    "f32": "f", "f64": "d", "i8": "b", "i16": "h", "i32": "i", "i64": "q",
    "u8": "B", "u16": "H", "u32": "I", "u64": "Q", "boolean": "?",
}  # fmt: skip
_VIEWS_FIT = sys.byteorder == "little"
_CONTENTS = {"boolean": "true or false", "string": "a string", "binary": "bytes"}
_NUMBER = 'a number, "inf", "-inf" or "nan"'
_MAX_DIMENSIONS = 255
_MAX_SHOWN = 8
MAX_FORMAT_BYTES = 255


@dataclass(frozen=True, slots=True)
class Media:
    """One element of an image, audio or video tensor. `format` is like "png", "wav" or "mp4"."""

    format: str
    data: Blob


@dataclass(frozen=True, slots=True)
class Tensor:
    """`elements` are flat, in row-major order: float, int, str, bool, Blob (binary) or Media."""

    type: TensorType
    shape: Sequence[int]
    elements: Sequence[Any]


def integer_range(type_: str) -> tuple[int, int]:
    """The smallest and the largest value of an integer type."""
    bits = int(type_[1:])
    return (0, (1 << bits) - 1) if type_[0] == "u" else (-(1 << bits - 1), (1 << bits - 1) - 1)


def encode_tensors(tensors: Iterable[Tensor]) -> Blob:
    return join(part for tensor in tensors for part in _encode(tensor))


def _encode(tensor: Tensor) -> Iterator[Blob]:
    if (problem := shape_problem(tensor.shape, len(tensor.elements))) is not None:
        raise TensorError(f"A tensor {problem}.")
    code = TENSOR_TYPES.index(tensor.type) + 1
    yield bytes([code, len(tensor.shape)]) + b"".join(map(encode_varint, tensor.shape))
    if tensor.type in _STRUCT_CODES:
        yield _pack(tensor.type, tensor.elements)
        return
    if tensor.type == "string":
        yield from _encode_strings(tensor.elements)
        return
    elements = [list(_variable_element(tensor.type, i, e)) for i, e in enumerate(tensor.elements)]
    sizes = [sum(map(size_of, parts)) for parts in elements]
    prefixes = [encode_varint(size) for size in sizes]
    yield encode_varint(sum(sizes) + sum(map(len, prefixes)))
    for prefix, parts in zip(prefixes, elements, strict=True):
        yield prefix
        yield from parts


def _encode_strings(strings: Sequence[str]) -> Iterator[bytes]:
    try:
        encoded = list(map(str.encode, strings))
    except UnicodeEncodeError:
        for index, string in enumerate(strings):
            _utf8(string, index)
        raise
    body = b"".join(chain.from_iterable(zip(map(encode_varint, map(len, encoded)), encoded, strict=True)))
    yield encode_varint(len(body))
    yield body


def shape_problem(shape: Sequence[int], count: int) -> str | None:
    """Why a tensor of that shape cannot have that many elements; None if it can."""
    if (problem := dimensions_problem(shape)) is not None:
        return problem
    if (needed := math.prod(shape)) != count:
        # The product of 255 dimensions would be too long to print.
        stated = needed if needed < 1 << 64 else "more than 2^64"
        return f"has the shape {_shown(shape)}, which needs {stated} elements, but {count} are given"
    return None


def _shown(shape: Sequence[int]) -> str:
    if len(shape) <= _MAX_SHOWN:
        return str(list(shape))
    return f"[{', '.join(map(str, shape[:_MAX_SHOWN]))}, ...] of {len(shape)} dimensions"


def dimensions_problem(shape: Sequence[int]) -> str | None:
    """Why no tensor can have that shape; None if one can."""
    if len(shape) > _MAX_DIMENSIONS:
        return f"has {len(shape)} dimensions; at most {_MAX_DIMENSIONS} are possible"
    if any(dimension < 0 for dimension in shape):
        return "has a negative dimension in its shape, which is only possible in a parameter definition"
    if any(dimension >> 64 for dimension in shape):
        return "has a dimension in its shape that does not fit into 64 bits"
    return None


def _pack(type_: TensorType, elements: Sequence[Any]) -> bytes:
    if _VIEWS_FIT and isinstance(elements, memoryview) and elements.format == _STRUCT_CODES[type_]:
        return elements.tobytes()
    allowed = {bool} if type_ == "boolean" else {int, float} if type_ in FLOAT_TYPES else {int}
    try:
        # Packed in C, all at once; the slow search for the bad element only runs when there is one.
        if set(map(type, elements)) <= allowed:
            return struct.pack(f"<{len(elements)}{_STRUCT_CODES[type_]}", *elements)
    except (struct.error, OverflowError):
        pass
    raise _first_bad_element(type_, elements, allowed)


def _first_bad_element(type_: TensorType, elements: Sequence[Any], allowed: set[type]) -> TensorError:
    packer = struct.Struct(f"<{_STRUCT_CODES[type_]}")
    for index, element in enumerate(elements):
        try:
            if type(element) in allowed:
                packer.pack(element)
                continue
        except (struct.error, OverflowError):
            pass
        return TensorError(f"it does not fit {describe_type(type_)}.", index)
    raise AssertionError("every element fits")


def describe_type(type_: str) -> str:
    """The type and its possible values, for error messages."""
    if type_ in INTEGER_TYPES:
        smallest, largest = integer_range(type_)
        return f"{type_} (an integer from {smallest} to {largest})"
    return f"{type_} ({_CONTENTS.get(type_, _NUMBER)})"


def _variable_element(type_: TensorType, index: int, element: Any) -> Iterator[Blob]:
    if type_ == "binary":
        yield element
    else:
        name = _utf8(element.format, index)
        if len(name) > MAX_FORMAT_BYTES:
            raise TensorError(f"its format is longer than {MAX_FORMAT_BYTES} bytes.", index)
        yield bytes([len(name)]) + name
        yield element.data


def _utf8(string: str, index: int) -> bytes:
    try:
        return string.encode()
    except UnicodeEncodeError:
        raise TensorError("it has an unpaired surrogate, which UTF-8 cannot encode.", index) from None


def numeric_view(type_: str, data: bytes) -> Sequence[Any]:
    """The elements of a type of fixed size, from little-endian bytes; where possible without an object for each."""
    code = _STRUCT_CODES[type_]
    if _VIEWS_FIT:
        return cast(Sequence[Any], memoryview(data).cast(cast(Any, code)))
    return struct.unpack(f"<{len(data) // struct.calcsize(f'<{code}')}{code}", data)


def raw_elements(tensor: Tensor) -> bytes:
    """The elements of a type of fixed size, little endian."""
    return _pack(tensor.type, tensor.elements)


def decode_tensors(data: bytes, *, as_views: bool = False, most: float = math.inf) -> list[Tensor]:
    """Decode all tensors of one parameter.

    Args:
        as_views: give elements of fixed size as `numeric_view`, since lists take many times the memory.
        most: how many objects to make at most, by `object_count`.

    Raises:
        MalformedFrame: the bytes are not a sequence of complete tensors, or have more objects than that.
    """
    tensors: list[Tensor] = []
    offset = 0
    while offset < len(data):
        tensor, offset = _decode(data, offset, as_views=as_views, most=most)
        most -= object_count(tensor)
        tensors.append(tensor)
    return tensors


def object_count(tensor: Tensor) -> int:
    """The tensor and its elements of variable size: each takes many times the memory that its bytes do."""
    return 1 if tensor.type in _STRUCT_CODES else 1 + len(tensor.elements)


def _decode(data: bytes, offset: int, *, as_views: bool, most: float) -> tuple[Tensor, int]:
    if len(data) - offset < 2:
        raise MalformedFrame("a tensor ends before its shape")
    if most < 1:
        raise MalformedFrame("there are too many tensors")
    code, dimensions = data[offset], data[offset + 1]
    if not 1 <= code <= len(TENSOR_TYPES):
        raise MalformedFrame(f"unknown tensor type {code}")
    type_ = TENSOR_TYPES[code - 1]
    offset += 2
    shape: list[int] = []
    for _ in range(dimensions):
        dimension, offset = decode_varint(data, offset)
        shape.append(dimension)
    count = math.prod(shape)
    if type_ in _STRUCT_CODES:
        elements, offset = _decode_fixed(type_, count, data, offset, as_view=as_views)
    elif count >= most:
        raise MalformedFrame(f"there are too many elements of the type {type_}")
    else:
        elements, offset = _decode_variable(type_, count, data, offset)
    return Tensor(type_, shape, elements), offset


def _decode_fixed(
    type_: TensorType, count: int, data: bytes, offset: int, *, as_view: bool
) -> tuple[Sequence[Any], int]:
    code = _STRUCT_CODES[type_]
    end = offset + count * struct.calcsize(f"<{code}")
    if end > len(data):
        raise MalformedFrame(f"a tensor of {count} {type_} elements ends too early")
    if as_view:
        return numeric_view(type_, data[offset:end]), end
    return list(struct.unpack_from(f"<{count}{code}", data, offset)), end


def _decode_variable(type_: TensorType, count: int, data: bytes, offset: int) -> tuple[list[Any], int]:
    total, offset = decode_varint(data, offset)
    end = offset + total
    # Each element has at least the byte of its length: a larger count is wrong, and needs no loop.
    if end > len(data) or count > total:
        raise MalformedFrame(f"a tensor of {count} {type_} elements ends too early")
    elements: list[Any] = []
    for _ in range(count):
        length, start = decode_varint(data, offset)
        offset = start + length
        if offset > end:
            raise MalformedFrame(f"an element of a {type_} tensor extends beyond the tensor")
        elements.append(_decode_element(type_, data[start:offset]))
    if offset != end:
        raise MalformedFrame(f"a {type_} tensor announces {total} bytes and has {total - end + offset}")
    return elements, end


def _decode_element(type_: TensorType, element: bytes) -> Any:
    try:
        if type_ == "binary":
            return element
        if type_ == "string":
            return element.decode()
        end = 1 + element[0]
        if end > len(element):
            raise MalformedFrame(f"the format of an element of a {type_} tensor ends too early")
        return Media(element[1:end].decode(), element[end:])
    except (UnicodeDecodeError, IndexError):
        raise MalformedFrame(f"an element of a {type_} tensor is not valid") from None
