"""What a model file says of itself: the form in which inspectors of all formats answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..decthings import TensorType


class MalformedModel(ValueError):
    """The file is not a whole model of its format. The text says what is wrong with it."""


@dataclass(frozen=True)
class TensorSpec:
    """An input or an output.

    `element_type` is the format's own name; `shape` has -1 for any length, and is None when the rank is open.
    """

    name: str
    element_type: str
    decthings_type: TensorType | None
    shape: Sequence[int] | None


@dataclass(frozen=True)
class ModelStructure:
    """`versions` are those that the format has: of the file format, of operator sets."""

    format: str
    producer: str
    versions: Mapping[str, Any]
    inputs: Sequence[TensorSpec]
    outputs: Sequence[TensorSpec]
