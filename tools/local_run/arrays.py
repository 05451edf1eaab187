"""Between tensors and NumPy arrays, in the process that runs a model."""

from __future__ import annotations

from typing import Any

import numpy

from ..decthings.tensors import MEDIA_TYPES, Tensor, TensorType, encode_tensors, numeric_view, raw_elements

_DTYPES = {
    "f32": "<f4", "f64": "<f8", "i8": "i1", "i16": "<i2", "i32": "<i4", "i64": "<i8",
    "u8": "u1", "u16": "<u2", "u32": "<u4", "u64": "<u8", "boolean": "?",
}  # fmt: skip
_TYPES: dict[str, TensorType] = {
    "f4": "f32", "f8": "f64", "i1": "i8", "i2": "i16", "i4": "i32", "i8": "i64",
    "u1": "u8", "u2": "u16", "u4": "u32", "u8": "u64", "b1": "boolean",
}  # fmt: skip


def to_array(tensor: Tensor) -> Any:
    """The elements as an array. How Decthings gives a picture to such a model is not documented: here as its bytes."""
    if tensor.type in _DTYPES:
        return numpy.frombuffer(raw_elements(tensor), _DTYPES[tensor.type]).reshape(tensor.shape)
    if tensor.type == "string":
        return numpy.array(list(tensor.elements), dtype=object).reshape(tensor.shape)
    if len(tensor.elements) != 1:
        raise ValueError(f"the file can take one {tensor.type} element at a time, not {len(tensor.elements)}")
    element = tensor.elements[0]
    data: Any = element.data if tensor.type in MEDIA_TYPES else element
    return numpy.frombuffer(data, "u1")


def encode_array(name: str, value: Any) -> bytes:
    """The array as an encoded tensor. Half-precision floats become f32, which Decthings has."""
    if isinstance(value, (list, dict)):
        raise TypeError(f"output {name!r} is no tensor, but a {'sequence' if isinstance(value, list) else 'map'}")
    array: Any = numpy.asarray(value)
    if array.dtype.kind in "OSU":
        strings = [item.decode() if isinstance(item, bytes) else str(item) for item in array.flatten().tolist()]
        return _encoded(Tensor("string", array.shape, strings))
    if array.dtype.itemsize == 2 and array.dtype.kind in "fV":  # float16, and bfloat16 where NumPy knows it
        array = array.astype("<f4")
    type_ = _TYPES.get(array.dtype.str[1:])
    if type_ is None:
        raise TypeError(f"output {name!r} has the type {array.dtype}, which Decthings does not have")
    array = array.astype(array.dtype.newbyteorder("<"))
    return _encoded(Tensor(type_, array.shape, numeric_view(type_, array.tobytes())))


def _encoded(tensor: Tensor) -> bytes:
    encoded = encode_tensors([tensor])
    assert isinstance(encoded, bytes)  # noqa: S101 - there are no files in it
    return encoded
