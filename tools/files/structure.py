"""What the readers of all formats share: how they read a file, and what they return of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..decthings import TensorType

ReadAt = Callable[[int, int], bytes]
"""Returns the bytes at (offset, length); fewer at the end of the file."""


class MalformedModel(ValueError):
    """The file is not a complete model of its format. The message says what is wrong."""


@dataclass(frozen=True)
class TensorSpec:
    """An input or an output of a model.

    `element_type` is the format's own name; `shape` has -1 for any length, and is None if the rank is unknown.
    """

    name: str
    element_type: str
    decthings_type: TensorType | None
    shape: Sequence[int] | None


@dataclass(frozen=True)
class ModelStructure:
    """What a model file contains besides weights. `versions` are those of the file format and of operator sets."""

    format: str
    producer: str
    versions: Mapping[str, Any]
    inputs: Sequence[TensorSpec]
    outputs: Sequence[TensorSpec]
