"""Iterating over the fields of a protobuf message in a file, without reading the skipped fields.

The existing parsers read the whole message; for a model, that includes its weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from time import thread_time

from .structure import ReadAt

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_WINDOW = 16 * 1024
_SMALL_WINDOW = 64
_SECONDS = 3.0


class Malformed(ValueError):
    """The bytes are not a protobuf message, or it has too many fields."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a message: the `value` of a varint, or the `start` and `end` of the bytes of any other field."""

    number: int
    wire_type: int
    value: int
    start: int
    end: int


class _Clock:
    """A limit on the processor time of all of a file's fields: a file may take long to arrive."""

    def __init__(self) -> None:
        self._deadline = thread_time() + _SECONDS
        self._fields = 0
        self._is_over = False

    def is_over(self) -> bool:
        self._fields += 1
        if self._fields % 1024 == 0:
            self._is_over = thread_time() > self._deadline
        return self._is_over


class Budget:
    """A limit on the number of fields, and on the processor time to read them."""

    def __init__(self, fields: int, clock: _Clock | None = None) -> None:
        self._fields = fields
        self._clock = clock or _Clock()

    def part(self, fields: int) -> Budget:
        """A limit of its own on the number of fields, within the same time."""
        return Budget(fields, self._clock)

    def spend(self) -> None:
        self._fields -= 1
        if self._fields < 0 or self._clock.is_over():
            raise Malformed("it has too many fields")


class Message:
    """A message in a file. `budget` limits the fields read in it and in its nested messages together."""

    def __init__(self, read_at: ReadAt, start: int, end: int, budget: Budget) -> None:
        self._read_at, self._start, self._end, self._budget = read_at, start, end, budget

    def __iter__(self) -> Iterator[Field]:
        offset = self._start
        window, window_start = b"", offset
        while offset < self._end:
            self._budget.spend()
            # A field's header is at most two varints, 20 bytes. Only fields that are close together are read ahead.
            window_end = window_start + len(window)
            if offset + 20 > window_end:
                size = _WINDOW if offset <= window_end else _SMALL_WINDOW
                window, window_start = self._read_at(offset, min(size, self._end - offset)), offset
            field = _field(window, offset - window_start, offset)
            if field.end > self._end:
                raise Malformed("a field extends beyond its message")
            yield field
            offset = field.end

    def within(self, field: Field, budget: Budget | None = None) -> Message:
        return Message(self._read_at, field.start, field.end, budget or self._budget)

    def part_of(self, field: Field, fields: int) -> Message:
        """A nested message with a limit of its own on the number of its fields, within the same time."""
        return self.within(field, self._budget.part(fields))

    def text(self, field: Field, limit: int) -> str:
        return self._read_at(field.start, min(limit, field.end - field.start)).decode("utf-8", "replace")


def _field(data: bytes, position: int, offset: int) -> Field:
    """The field at `position` in `data`, which is at `offset` in the file."""
    tag, after = _varint(data, position)
    number, wire_type = tag >> 3, tag & 7
    value, size = 0, 0
    if wire_type in (VARINT, BYTES):
        value, after = _varint(data, after)
        size = value if wire_type == BYTES else 0
    elif wire_type in (FIXED32, FIXED64):
        size = 4 if wire_type == FIXED32 else 8
    else:
        raise Malformed(f"unknown wire type {wire_type}")
    if not number:
        raise Malformed("a field has the number 0")
    start = offset + after - position
    return Field(number, wire_type, value, start, start + size)


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for index, byte in enumerate(data[position : position + 10]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, position + index + 1
    raise Malformed("a varint is too long or incomplete")
