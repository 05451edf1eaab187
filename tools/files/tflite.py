"""The structure of a TFLite file: a FlatBuffer with the tables of TensorFlow's schema.fbs, without the weights.

The official reader needs the whole file in memory or memory-mapped, and a mapped file that becomes shorter
while it is read crashes the process. So this module follows the few offsets that lead to the inputs itself.
"""

from __future__ import annotations

import struct

from ..decthings import TensorType
from .structure import MalformedModel, ModelStructure, ReadAt, TensorSpec

_MAX_VALUES = 512
_MAX_DIMENSIONS = 64
_MAX_TEXT = 1_000

_TYPES: dict[int, tuple[str, TensorType | None]] = {
    0: ("float32", "f32"), 1: ("float16", None), 2: ("int32", "i32"), 3: ("uint8", "u8"), 4: ("int64", "i64"),
    5: ("string", "string"), 6: ("bool", "boolean"), 7: ("int16", "i16"), 8: ("complex64", None), 9: ("int8", "i8"),
    10: ("float64", "f64"), 11: ("complex128", None), 12: ("uint64", "u64"), 13: ("resource", None),
    14: ("variant", None), 15: ("uint32", "u32"), 16: ("uint16", "u16"), 17: ("int4", None), 18: ("bfloat16", None),
}  # fmt: skip

# The positions of the fields in their tables.
_VERSION, _SUBGRAPHS, _DESCRIPTION = 0, 2, 3
_TENSORS, _INPUTS, _OUTPUTS = 0, 1, 2
_SHAPE, _TYPE, _NAME, _SHAPE_SIGNATURE = 0, 1, 3, 7


def is_tflite(size: int, read_at: ReadAt) -> bool:
    """Whether it is a FlatBuffer with TFLite's file identifier, and its root table is within the file."""
    start = read_at(0, 8)
    return len(start) == 8 and start[4:] == b"TFL3" and int.from_bytes(start[:4], "little") <= size - 4


def check_tflite(size: int, read_at: ReadAt) -> None:
    """Check the start of the file; weights are never in another one.

    Raises:
        MalformedModel: `is_tflite` is false for it.
    """
    if not is_tflite(size, read_at):
        raise MalformedModel("it does not have the identifier TFL3 and a root table")


def read_tflite(size: int, read_at: ReadAt) -> ModelStructure:
    """Read the inputs, outputs and version of a TFLite file.

    Raises:
        MalformedModel: it is not a complete model with a graph.
    """
    file = _File(size, read_at)
    if size < 8 or read_at(4, 4) != b"TFL3":
        raise MalformedModel("it does not have the identifier TFL3")
    model = _Table(file, file.u32(0))
    first, count = model.vector(_SUBGRAPHS)
    if not count:
        raise MalformedModel("it has no graph")
    main = model.table_at(first)
    tensors = main.vector(_TENSORS)
    inputs, outputs = (
        [_value(main, tensors, i) for i in main.integers(field, _MAX_VALUES)] for field in (_INPUTS, _OUTPUTS)
    )
    return ModelStructure("tflite", model.text(_DESCRIPTION), {"schemaVersion": model.u32(_VERSION)}, inputs, outputs)


def _value(graph: _Table, tensors: tuple[int, int], index: int) -> TensorSpec:
    start, count = tensors
    if not 0 <= index < count:
        raise MalformedModel("an input or output refers to a tensor that does not exist")
    tensor = graph.table_at(start + 4 * index)
    # The signature has -1 where the shape only has an initial length.
    shape = tensor.integers(_SHAPE_SIGNATURE, _MAX_DIMENSIONS) or tensor.integers(_SHAPE, _MAX_DIMENSIONS)
    element_type, decthings_type = _TYPES.get(kind := tensor.u8(_TYPE), (f"type {kind}", None))
    return TensorSpec(tensor.text(_NAME), element_type, decthings_type, [max(dimension, -1) for dimension in shape])


class _File:
    """The bytes of a file, with bounds checks."""

    def __init__(self, size: int, read_at: ReadAt) -> None:
        self._size, self._read_at = size, read_at

    def read(self, offset: int, length: int) -> bytes:
        if not 0 <= offset <= offset + length <= self._size:
            raise MalformedModel("an offset is outside the file")
        data = self._read_at(offset, length)
        if len(data) != length:
            raise MalformedModel("it became shorter while it was being read")
        return data

    def u32(self, offset: int) -> int:
        return int.from_bytes(self.read(offset, 4), "little")


class _Table:
    """The FlatBuffers table at `offset`; absent fields have their defaults: 0, an empty string, an empty vector."""

    def __init__(self, file: _File, offset: int) -> None:
        self._file, self._offset = file, offset
        vtable = offset - int.from_bytes(file.read(offset, 4), "little", signed=True)
        size = int.from_bytes(file.read(vtable, 2), "little")
        self._fields = file.read(vtable, max(size, 4))[4:]

    def _position(self, field: int) -> int | None:
        relative = int.from_bytes(self._fields[2 * field : 2 * field + 2], "little")
        return self._offset + relative if relative else None

    def u8(self, field: int) -> int:
        offset = self._position(field)
        return self._file.read(offset, 1)[0] if offset else 0

    def u32(self, field: int) -> int:
        offset = self._position(field)
        return self._file.u32(offset) if offset else 0

    def vector(self, field: int) -> tuple[int, int]:
        """The offset of the first item, and the number of items."""
        offset = self._position(field)
        if offset is None:
            return 0, 0
        start = offset + self._file.u32(offset)
        return start + 4, self._file.u32(start)

    def integers(self, field: int, most: int) -> list[int]:
        start, count = self.vector(field)
        if count > most:
            raise MalformedModel(f"a list of inputs, outputs or dimensions has more than {most} items")
        return list(struct.unpack(f"<{count}i", self._file.read(start, 4 * count)))

    def table_at(self, offset: int) -> _Table:
        return _Table(self._file, offset + self._file.u32(offset))

    def text(self, field: int) -> str:
        start, length = self.vector(field)
        return self._file.read(start, min(length, _MAX_TEXT)).decode("utf-8", "replace")
