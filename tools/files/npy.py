"""NumPy's .npy files: one array of numbers, with its type and shape before it.

Only what tensors can hold: no objects, no structures. Source: NumPy's description of the format, versions 1 to 3.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from ..decthings import Tensor, TensorType
from ..decthings.tensors import dimensions_problem, numeric_view, raw_elements

_MAGIC = b"\x93NUMPY"
_MAX_HEADER = 10_000
_TYPES: dict[str, TensorType] = {
    "f4": "f32", "f8": "f64", "i1": "i8", "i2": "i16", "i4": "i32", "i8": "i64",
    "u1": "u8", "u2": "u16", "u4": "u32", "u8": "u64", "b1": "boolean",
}  # fmt: skip
_HEADER = re.compile(
    r"\{'descr': *'([<>=|])([a-zA-Z][0-9]{1,3})', *'fortran_order': *(True|False), "
    r"*'shape': *\(((?:[0-9]{1,20}, *)*(?:[0-9]{1,20})?)\),? *\}\s*"
)
"""A Python literal, which NumPy and others write in this form, with the keys in this order."""
_DESCRIPTIONS = {type_: code for code, type_ in _TYPES.items()}


class NotNpy(ValueError):
    """The bytes are no .npy file that a tensor can hold. The message says why."""


def read_npy(data: bytes) -> Tensor:
    """The array in a .npy file.

    Raises:
        NotNpy
    """
    if data[:6] != _MAGIC or len(data) < 12:
        raise NotNpy("is not a .npy file")
    width = 2 if data[6] == 1 else 4
    start = 8 + width
    end = start + int.from_bytes(data[8:start], "little")
    if end > min(len(data), _MAX_HEADER):
        raise NotNpy("is an incomplete .npy file")
    type_, shape = _described(data[start:end])
    size = math.prod(shape) * int(_DESCRIPTIONS[type_][1])
    if len(data) - end != size:
        raise NotNpy(f"is a .npy file of shape {list(shape)} that has {len(data) - end} bytes of data, not {size}")
    return Tensor(type_, list(shape), numeric_view(type_, data[end:]))


def _described(header: bytes) -> tuple[TensorType, Sequence[int]]:
    match = _HEADER.fullmatch(header.decode("latin-1"))
    if match is None:
        raise NotNpy("is a .npy file of something else than plain numbers, or with a damaged header")
    order, code, fortran_order, dimensions = match.groups()
    type_ = _TYPES.get(code)
    if type_ is None or (order == ">" and code[1] != "1"):
        raise NotNpy(f"is a .npy file of the type {order}{code}, which Decthings does not have")
    shape = [int(dimension) for dimension in re.findall("[0-9]+", dimensions)]
    if dimensions_problem(shape) is not None:
        raise NotNpy("is a .npy file with a damaged header")
    if fortran_order == "True" and len(shape) > 1:
        raise NotNpy("is a .npy file in Fortran order; save it with numpy.ascontiguousarray first")
    return type_, shape


def write_npy(tensor: Tensor) -> bytes:
    """A tensor of numbers or booleans, whose elements are a `numeric_view`, as a .npy file."""
    code = _DESCRIPTIONS[tensor.type]
    order = "|" if code[1] == "1" else "<"
    shape = repr(tuple(tensor.shape))
    header = f"{{'descr': '{order}{code}', 'fortran_order': False, 'shape': {shape}, }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    return _MAGIC + b"\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + raw_elements(tensor)
