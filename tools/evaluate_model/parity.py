"""Comparing what Decthings gives with what the file gives on this machine, element by element."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..decthings import Media, Tensor
from ..decthings.blobs import Blob, chunks_of
from ..decthings.evaluations import Output
from ..decthings.tensors import FLOAT_TYPES, INTEGER_TYPES
from ..results.text import sanitize
from .numbers import as_json

TOLERANCES = {"f32": (1e-5, 1e-3), "f64": (1e-9, 1e-6)}
"""By type: (absolute, relative to the value of the file). Other types must be equal."""

_MAX_SHOWN = 8


@dataclass
class Difference:
    """The largest difference of an output, and where it is; without one, `reason` says what differs."""

    largest: float = 0
    numeric: bool = True
    where: dict[str, Any] | None = None
    differing: int = 0
    elements: int = 0
    reason: str = ""

    @property
    def same(self) -> bool:
        return not self.reason and not self.differing


def compare(decthings: Sequence[Output], file: Sequence[Output]) -> dict[str, Any]:
    """The comparison for the result: whether all is the same, and per output how much it differs."""
    remote = {output.name: output for output in decthings}
    local = {output.name: output for output in file}
    found = {name: _compare_output(remote[name].tensors, local[name].tensors) for name in local if name in remote}
    only = {"onlyOnDecthings": remote.keys() - local.keys(), "onlyInFile": local.keys() - remote.keys()}
    missing = {key: sorted(sanitize(name, 60) for name in names)[:_MAX_SHOWN] for key, names in only.items() if names}
    same = bool(found) and not missing and all(difference.same for difference in found.values())
    comparable = [difference for difference in found.values() if difference.numeric and not difference.reason]
    largest = max((difference.largest for difference in comparable), default=None)
    outputs = [_described(name, difference) for name, difference in found.items()]
    outputs.sort(key=lambda output: output["same"])
    more = {"moreOutputs": len(outputs) - _MAX_SHOWN} if len(outputs) > _MAX_SHOWN else {}
    return {
        "same": same,
        **({} if largest is None else {"largestDifference": as_json(largest)}),
        "outputs": outputs[:_MAX_SHOWN],
        **more,
        **missing,
        "tolerance": _tolerance(decthings),
    }


def _described(name: str, difference: Difference) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": sanitize(name, 60), "same": difference.same}
    if difference.reason:
        return {**shown, "differs": difference.reason}
    shown |= {"largestDifference": as_json(difference.largest)} if difference.numeric else {}
    shown["elements"] = difference.elements
    return shown if difference.where is None else {**shown, "differing": difference.differing, **difference.where}


def _tolerance(outputs: Sequence[Output]) -> str:
    used = sorted({tensor.type for output in outputs for tensor in output.tensors} & TOLERANCES.keys())
    parts = [f"{type_}: {TOLERANCES[type_][0]:g} + {TOLERANCES[type_][1]:g} of the value" for type_ in used]
    return "; ".join([*parts, "other types: equal" if parts else "equal"])


def _compare_output(remote: Sequence[Tensor], local: Sequence[Tensor]) -> Difference:
    if len(remote) != len(local):
        return Difference(reason=f"Decthings returned {len(remote)} tensors, the file {len(local)}")
    total = Difference()
    for number, (one, other) in enumerate(zip(remote, local, strict=True)):
        if one.type != other.type:
            return Difference(reason=f"the type is {one.type} on Decthings, {other.type} in the file")
        if list(one.shape) != list(other.shape):
            return Difference(reason=f"the shape is {list(one.shape)} on Decthings, {list(other.shape)} in the file")
        _compare_tensors(one, other, total, {"tensor": number} if len(remote) > 1 else {})
    return total


def _compare_tensors(one: Tensor, other: Tensor, total: Difference, at: dict[str, Any]) -> None:
    total.elements += len(one.elements)
    total.numeric = numeric = one.type in FLOAT_TYPES | INTEGER_TYPES
    if _are_identical(one, other):
        return
    absolute, relative = TOLERANCES.get(one.type, (0.0, 0.0))
    for index, (a, b) in enumerate(zip(one.elements, other.elements, strict=True)):
        if a == b or (numeric and a != a and b != b):  # NaN is not equal to itself
            continue
        distance = _distance(a, b) if numeric else 1.0
        tolerated = absolute + relative * abs(b) if numeric and math.isfinite(b) else 0.0
        if not distance <= tolerated:
            total.differing += 1
        if distance > total.largest:
            total.largest = distance
            if distance > tolerated:
                total.where = {"at": at | {"index": _index(index, one.shape)}, **_values(a, b)}


def _are_identical(one: Tensor, other: Tensor) -> bool:
    """Whether they have the same bytes: a comparison of millions of elements in Python takes seconds."""
    if isinstance(one.elements, memoryview) and isinstance(other.elements, memoryview):
        return one.elements.tobytes() == other.elements.tobytes()
    return one.elements == other.elements and one.type not in FLOAT_TYPES


def _distance(a: float, b: float) -> float:
    distance = abs(a - b)
    return math.inf if math.isnan(distance) else distance


def _values(a: Any, b: Any) -> dict[str, Any]:
    return {"onDecthings": _shown(a), "inFile": _shown(b)}


def _shown(value: Any) -> Any:
    if isinstance(value, (bytes, Media)):
        return "binary data"
    return as_json(value)


def _index(flat: int, shape: Sequence[int]) -> list[int]:
    index: list[int] = []
    for dimension in reversed(shape):
        flat, rest = divmod(flat, dimension)
        index.append(rest)
    return index[::-1]


async def in_memory(tensor: Tensor) -> Tensor:
    """The tensor with the content of files in place of the files."""
    if tensor.type == "binary":
        return Tensor(tensor.type, tensor.shape, [await _read(element) for element in tensor.elements])
    if tensor.elements and isinstance(tensor.elements[0], Media):
        elements = [Media(element.format, await _read(element.data)) for element in tensor.elements]
        return Tensor(tensor.type, tensor.shape, elements)
    return tensor


async def _read(blob: Blob) -> bytes:
    return b"".join([chunk async for chunk in chunks_of([blob])])
