"""Decthings' unsigned variable-length integer: up to 64 bits in 1, 3, 5 or 9 bytes, big endian."""

from __future__ import annotations

from .errors import InvalidRequest

_WIDTHS = {0xFD: 2, 0xFE: 4, 0xFF: 8}


class MalformedFrame(ValueError):
    """Bytes that do not follow the format. The message says what is wrong, without the bytes."""


_SHORTEST = [bytes([value]) for value in range(0xFD)]


def encode_varint(value: int) -> bytes:
    if 0 <= value < 0xFD:
        return _SHORTEST[value]
    for marker, width in _WIDTHS.items():
        if value < 1 << 8 * width:
            return marker.to_bytes(1) + value.to_bytes(width)
    raise InvalidRequest(f"The length {value} does not fit into 64 bits.")


def varint_width(first_byte: int) -> int:
    """How many bytes follow the first one."""
    return _WIDTHS.get(first_byte, 0)


def decode_varint(data: bytes, offset: int = 0) -> tuple[int, int]:
    """The value at `offset`, and the offset after it."""
    if offset >= len(data):
        raise MalformedFrame("it ends where a length is expected")
    first = data[offset]
    start = offset + 1
    end = start + varint_width(first)
    if end > len(data):
        raise MalformedFrame("it ends within a length")
    return (first if end == start else int.from_bytes(data[start:end])), end
