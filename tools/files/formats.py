"""The model file formats: recognizing a file by its structure, without reading its weights.

A file that clearly is not a model is not sent, so that a wrong path costs nothing and no private file is
uploaded by mistake. A file that passes may still be an invalid model: Decthings decides.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable
from dataclasses import dataclass

from ..decthings.types import ModelFormat
from ..results.errors import NotAModelFile
from ..results.text import sanitize
from .onnx import check_onnx, is_onnx, read_onnx
from .structure import MalformedModel, ModelStructure, ReadAt
from .tflite import check_tflite, is_tflite, read_tflite


@dataclass(frozen=True)
class Format:
    """A format that Decthings runs. Its functions take the size of a file and a function that reads from it."""

    name: ModelFormat
    matches: Callable[[int, ReadAt], bool]
    read: Callable[[int, ReadAt], ModelStructure]
    check: Callable[[int, ReadAt], str | None]
    """The name of a separate file with the weights, if there is one; raises MalformedModel where `matches` is false.
    It reads from the start to the end, so that a file can be checked while it passes by."""


FORMATS = (
    Format("onnx", is_onnx, read_onnx, check_onnx),
    Format("tflite", is_tflite, read_tflite, check_tflite),
)

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


def check_model_file(format_: str, size: int, read_at: ReadAt) -> None:
    """Refuse a file that cannot be a model of the given format.

    Args:
        format_: as in the arguments; only a known one is checked.

    Raises:
        NotAModelFile: the file is empty, clearly not of that format, or does not contain its weights.
    """
    if size == 0:
        raise NotAModelFile("The file is empty.", "Ask the user for the path of the model file.")
    if read_at(0, len(_PEM)) == _PEM:
        raise NotAModelFile("The file contains a key or a certificate.", "Ask the user for the path of the model file.")
    expected = next((known for known in FORMATS if known.name == format_), None)
    if expected is None:
        return
    try:
        location = expected.check(size, read_at)
    except MalformedModel:
        raise _another_format(expected, size, read_at) from None
    if location is not None:
        raise NotAModelFile(
            f"The file does not contain its weights; they are in a separate file, {sanitize(location, 100)!r}.",
            "Ask the user to save the model as a single file, for example with "
            "onnx.save(onnx.load(path), path, save_as_external_data=False).",
        )


def _another_format(expected: Format, size: int, read_at: ReadAt) -> NotAModelFile:
    actual = recognize(size, read_at)
    return NotAModelFile(
        f"The file is not a complete {expected.name} file; it looks like {describe(size, read_at)}.",
        f'Use format "{actual.name}" for it.'
        if actual
        else f"Use a file in {expected.name} format, or ask the user to convert this one.",
    )


def recognize(size: int, read_at: ReadAt) -> Format | None:
    return next((known for known in FORMATS if known.matches(size, read_at)), None)


def describe(size: int, read_at: ReadAt) -> str:
    """The kind of file, in words."""
    if (known := recognize(size, read_at)) is not None:
        return known.name
    start = read_at(0, 512)
    if not start:
        return "an empty file"
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
