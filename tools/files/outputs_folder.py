"""The folder that the operator named for outputs: new files only, nowhere else."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..decthings import Media, Tensor
from ..decthings.evaluations import Output
from .media import FORMATS, bytes_of
from .npy import write_npy

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_MAX_FILES = 100
_MAX_NAMES = 10_000


class OutputsFolder:
    """Writes outputs as files of a folder that exists."""

    def __init__(self, folder: Path) -> None:
        self._folder = Path(os.path.realpath(folder))

    def save(self, outputs: Sequence[Output]) -> list[str]:
        """Write each tensor of numbers as .npy, strings as .json, and each binary, image, audio or video as it is.

        Returns:
            The paths of the files.

        Raises:
            OSError
        """
        files = [file for output in outputs for file in _files_of(output)]
        return [self._write(name, ending, content) for name, ending, content in files[:_MAX_FILES]]

    def _write(self, name: str, ending: str, content: bytes) -> str:
        for number in range(1, _MAX_NAMES):
            path = self._folder / (f"{name}.{ending}" if number == 1 else f"{name}-{number}.{ending}")
            try:
                descriptor = os.open(path, _CREATE, 0o644)
            except FileExistsError:
                continue
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            return str(path)
        raise FileExistsError("all names are taken")


def _files_of(output: Output) -> Iterator[tuple[str, str, bytes]]:
    """(name, ending, content) of each file."""
    name = _plain(output.name) or "output"
    for tensor in output.tensors:
        if tensor.type == "string":
            document = {"shape": list(tensor.shape), "values": list(tensor.elements)}
            yield name, "json", json.dumps(document).encode()
        elif isinstance(tensor.elements, memoryview):
            yield name, "npy", write_npy(tensor)
        else:
            yield from ((name, _ending(tensor, element), bytes_of(element)) for element in tensor.elements)


def _ending(tensor: Tensor, element: Media | bytes) -> str:
    format_ = element.format.lower() if isinstance(element, Media) else ""
    return format_ if format_ in FORMATS.get(tensor.type, ()) else "bin"


def _plain(name: str) -> str:
    """A part of a file name: letters, digits, and single hyphens."""
    return re.sub("[^A-Za-z0-9]+", "-", name).strip("-")[:60]
