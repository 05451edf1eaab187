"""Recognizing ONNX and TFLite files by their structure, without reading their weights.

A file that clearly is not a model is not sent, so that a wrong path costs nothing and no private file is
uploaded by mistake. A file that passes may still be an invalid model: Decthings decides.
"""

from __future__ import annotations

import codecs

from ..results.errors import NotAModelFile
from ..results.text import sanitize
from .onnx import external_weights
from .protobuf import BYTES, VARINT, Budget, Malformed, Message, ReadAt

# Other files that are often next to models, by their first bytes.
_SIGNATURES = {
    b"PK\x03\x04": "a ZIP archive (like PyTorch, Keras and SavedModel exports)",
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
    b"<!DOCTYPE": "a web page",
    b"<html": "a web page",
}

_PEM = b"-----BEGIN"
_ONNX_FIELDS = {
    1: VARINT, 2: BYTES, 3: BYTES, 4: BYTES, 5: VARINT, 6: BYTES, 7: BYTES, 8: BYTES,
    14: BYTES, 20: BYTES, 25: BYTES, 26: BYTES,
}  # fmt: skip
"""The fields of onnx.ModelProto (onnx.proto of ONNX 1.20) with their protobuf wire types."""
_ONNX_GRAPH = 7
_MAX_FIELDS = 100_000


def check_model_file(format_: str, size: int, read_at: ReadAt) -> None:
    """Refuse a file that cannot be a model of the given format.

    Args:
        format_: as in the arguments; only "onnx" and "tflite" are checked.

    Raises:
        NotAModelFile: the file is empty, clearly not of that format, or does not contain its weights.
    """
    if size == 0:
        raise NotAModelFile("The file is empty.", "Ask the user for the path of the model file.")
    if read_at(0, len(_PEM)) == _PEM:
        raise NotAModelFile("The file contains a key or a certificate.", "Ask the user for the path of the model file.")
    looks_right = {"onnx": is_onnx, "tflite": is_tflite}.get(format_)
    if looks_right is None or looks_right(size, read_at):
        return _refuse_external_weights(format_, size, read_at)
    other = "onnx" if format_ == "tflite" else "tflite"
    actual = describe(size, read_at)
    raise NotAModelFile(
        f"The file is not a complete {format_} file; it looks like {actual}.",
        f'Use format "{other}" for it.'
        if actual.startswith(other)
        else f"Use a file in {format_} format, or ask the user to convert this one.",
    )


def _refuse_external_weights(format_: str, size: int, read_at: ReadAt) -> None:
    if format_ == "onnx" and (location := external_weights(size, read_at)) is not None:
        raise NotAModelFile(
            f"The file does not contain its weights; they are in a separate file, {sanitize(location, 100)!r}.",
            "Ask the user to save the model as a single file, for example with "
            "onnx.save(onnx.load(path), path, save_as_external_data=False).",
        )


def describe(size: int, read_at: ReadAt) -> str:
    """The kind of file, in words."""
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
        text = codecs.getincrementaldecoder("utf-8")().decode(start)  # the last character may be incomplete
    except UnicodeDecodeError:
        return False
    return all(c.isprintable() or c in "\t\r\n" for c in text)


def is_tflite(size: int, read_at: ReadAt) -> bool:
    """Whether it is a FlatBuffer with TFLite's file identifier, and its root table is within the file."""
    start = read_at(0, 8)
    return len(start) == 8 and start[4:] == b"TFL3" and int.from_bytes(start[:4], "little") <= size - 4


def is_onnx(size: int, read_at: ReadAt) -> bool:
    """Whether it is a complete protobuf message with only fields of onnx.ModelProto, including a graph."""
    try:
        fields = [(field.number, field.wire_type) for field in Message(read_at, 0, size, Budget(_MAX_FIELDS))]
    except Malformed:
        return False
    # New versions add fields, but with low numbers; bytes that are not ONNX soon give a high one.
    known = all(number < 100 and _ONNX_FIELDS.get(number, kind) == kind for number, kind in fields)
    return known and (_ONNX_GRAPH, BYTES) in fields
