"""What a model takes, by its parameter definitions or by its file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from ..decthings import TENSOR_TYPES, TensorType
from ..decthings.json_codec import is_list, is_object
from ..files.structure import ModelStructure, TensorSpec
from ..results.text import join_words, objects_in, sanitize


@dataclass(frozen=True)
class InputDefinition:
    """One input. No `types`, or a `shape` of None: it is not known what is allowed."""

    name: str
    required: bool
    types: Sequence[TensorType]
    shape: Sequence[int] | None

    def __str__(self) -> str:
        """For a message: "image" (u8, shape [-1])."""
        parts = [join_words(self.types)] if self.types else []
        parts += [f"shape {list(self.shape)}"] if self.shape is not None else []
        return f'"{sanitize(self.name, 60)}"' + (f" ({', '.join(parts)})" if parts else "")


def definitions_of(model: dict[str, Any]) -> list[InputDefinition]:
    """The `evaluateInput` of a model or a snapshot as Decthings sent it; empty if it has none."""
    lists = model.get("parameterDefinitions")
    return list(map(_definition, objects_in(lists.get("evaluateInput")))) if is_object(lists) else []


def _definition(item: dict[str, Any]) -> InputDefinition:
    rules = item.get("rules")
    known: dict[str, Any] = rules if is_object(rules) else {}
    types, shape = known.get("allowedTypes"), known.get("shape")
    return InputDefinition(
        str(item.get("name")),
        item.get("required") is not False,
        _known_types(types) if is_list(types) else [],
        cast(list[int], shape) if is_list(shape) and all(type(n) is int and n >= -1 for n in shape) else None,
    )


def _known_types(types: list[Any]) -> list[TensorType]:
    return [type_ for type_ in types if type_ in TENSOR_TYPES]


def definitions_in(structure: ModelStructure) -> list[InputDefinition]:
    """The inputs of a model file."""
    return list(map(_of_file, structure.inputs))


def _of_file(value: TensorSpec) -> InputDefinition:
    types: list[TensorType] = [value.decthings_type] if value.decthings_type else []
    return InputDefinition(value.name, True, types, value.shape)
