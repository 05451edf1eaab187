"""Whether a file is what it is called: a look at its structure, never at its weights.

A file that plainly is not a model is not sent, so that a slip of the path costs nothing and nobody's
private file is passed off as one. A file that passes may still be a broken model: Decthings decides.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator

from .errors import NotAModelFile

ReadAt = Callable[[int, int], bytes]
"""(offset, length) to the bytes there, fewer at the end."""

# What else people keep beside their models, by the bytes at the start.
_SIGNATURES = {
    b"PK\x03\x04": "a ZIP archive (PyTorch, Keras and SavedModel exports are ones)",
    b"\x89HDF": "an HDF5 file (Keras)",
    b"GGUF": "a GGUF file",
    b"\x80\x02": "a Python pickle",
    b"\x80\x04": "a Python pickle",
    b"\x80\x05": "a Python pickle",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"%PDF": "a PDF document",
    b"\x1f\x8b": "a gzip archive",
    b"version https://git-lfs": "a Git LFS pointer instead of the file itself (git lfs pull fetches it)",
    b"-----BEGIN": "a key or a certificate in PEM form",
    b"<!DOCTYPE": "a web page",
    b"<html": "a web page",
}

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_ONNX_FIELDS = {
    1: _VARINT, 2: _BYTES, 3: _BYTES, 4: _BYTES, 5: _VARINT, 6: _BYTES, 7: _BYTES, 8: _BYTES,
    14: _BYTES, 20: _BYTES, 25: _BYTES, 26: _BYTES,
}  # fmt: skip
"""The fields of onnx.ModelProto (onnx.proto of ONNX 1.20) with their protobuf wire types."""
_ONNX_GRAPH = 7
_MAX_FIELDS = 100_000


def check_model_file(format_: str, size: int, read_at: ReadAt) -> None:
    """
    Args:
        format_: as in the arguments; only "onnx" and "tflite" are looked into.

    Raises:
        NotAModelFile: it is empty, or plainly not of that format.
    """
    if size == 0:
        raise NotAModelFile("The file is empty.", "Check with the person which file is meant.")
    looks_right = {"onnx": is_onnx, "tflite": is_tflite}.get(format_)
    if looks_right is None or looks_right(size, read_at):
        return
    other = "onnx" if format_ == "tflite" else "tflite"
    found = describe(size, read_at)
    raise NotAModelFile(
        f"The file is not {format_}; it looks like {found}.",
        f'Use format "{other}" for it.'
        if found.startswith(other)
        else f"Name a file that is {format_}, or ask the person to convert this one.",
    )


def describe(size: int, read_at: ReadAt) -> str:
    if is_tflite(size, read_at):
        return "tflite"
    if is_onnx(size, read_at):
        return "onnx"
    start = read_at(0, 512)
    for signature, name in _SIGNATURES.items():
        if start.startswith(signature):
            return name
    return "text" if _is_text(start) else "something else"


def _is_text(start: bytes) -> bool:
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(start)  # the last character may be cut
    except UnicodeDecodeError:
        return False
    return all(c.isprintable() or c in "\t\r\n" for c in text)


def is_tflite(size: int, read_at: ReadAt) -> bool:
    """A FlatBuffer with TFLite's file identifier, whose root table lies within the file."""
    start = read_at(0, 8)
    return len(start) == 8 and start[4:] == b"TFL3" and int.from_bytes(start[:4], "little") <= size - 4


def is_onnx(size: int, read_at: ReadAt) -> bool:
    """A protobuf message with fields of onnx.ModelProto only, a graph among them, up to the last byte."""
    try:
        fields = list(_protobuf_fields(size, read_at))
    except _NotProtobuf:
        return False
    known = all(_ONNX_FIELDS.get(number, wire_type) == wire_type for number, wire_type in fields)
    return known and (_ONNX_GRAPH, _BYTES) in fields


class _NotProtobuf(Exception):
    pass


def _protobuf_fields(size: int, read_at: ReadAt) -> Iterator[tuple[int, int]]:
    offset = 0
    for _ in range(_MAX_FIELDS):
        if offset == size:
            return
        head = read_at(offset, 20)
        tag, used = _protobuf_varint(head, 0)
        number, wire_type = tag >> 3, tag & 7
        if wire_type in (_VARINT, _BYTES):
            value, used = _protobuf_varint(head, used)
            used += value if wire_type == _BYTES else 0
        elif wire_type in (_FIXED32, _FIXED64):
            used += 4 if wire_type == _FIXED32 else 8
        else:
            raise _NotProtobuf
        offset += used
        # New versions add fields, but their numbers stay low: text soon has one that is not.
        if offset > size or not 1 <= number < 100:
            raise _NotProtobuf
        yield number, wire_type
    raise _NotProtobuf


def _protobuf_varint(data: bytes, offset: int) -> tuple[int, int]:
    value = 0
    for index, byte in enumerate(data[offset : offset + 10]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, offset + index + 1
    raise _NotProtobuf
