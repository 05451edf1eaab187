"""The outputs of a model as a person wants to see them: small ones in full, large ones summed up, media as media."""

from __future__ import annotations

import hashlib
import heapq
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from mcp_types import AudioContent, ImageContent

from ..decthings import Media, Tensor
from ..decthings.evaluations import Output
from ..decthings.tensors import FLOAT_TYPES, MEDIA_TYPES
from ..files.media import bytes_of
from ..results.text import sanitize
from .media import content_blocks
from .numbers import as_f32, as_json

_MAX_JSON = 4_000
"""Bytes of the outputs in the result, which the text repeats: all of the text stays below 8 KiB."""
_LEVELS = (
    *((256, 2_000, 40), (64, 500, 40), (16, 160, 40), (4, 60, 40)),
    *((0, 40, 25), (0, 40, 12), (0, 40, 6), (0, 40, 2)),
)
"""How many elements and characters are shown of a tensor, and how many outputs, until they fit."""
_MAX_TENSORS = 20
_TOP = 5
_SLICE = 65_536


@dataclass
class Summary:
    """`outputs` for the result; `abridged` are the outputs that are not shown in full."""

    outputs: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    abridged: list[Output] = field(default_factory=list[Output])
    media: list[ImageContent | AudioContent] = field(default_factory=list[ImageContent | AudioContent])
    labels_fit: bool = False
    """Whether the caller's labels were those of an output."""


def summarize(outputs: Sequence[Output], labels: Sequence[str] = ()) -> Summary:
    """Sum the outputs up. It blocks: an output can have millions of elements.

    Args:
        labels: the names of scores, used for an output with as many of them.
    """
    summary = Summary()
    for elements, text, count in _LEVELS:
        summary = _Summarizer(outputs, labels, elements, text, count).summary()
        if len(json.dumps(summary.outputs)) <= _MAX_JSON:
            break
    summary.media = content_blocks(outputs)
    return summary


class _Summarizer:
    def __init__(self, outputs: Sequence[Output], labels: Sequence[str], elements: int, text: int, count: int) -> None:
        self._outputs = outputs
        self._labels = labels
        self._elements, self._text, self._count = elements, text, count
        self._in_full = True
        self._result = Summary()

    def summary(self) -> Summary:
        for output in self._outputs:
            self._in_full = len(output.tensors) <= _MAX_TENSORS
            shown = self._output(output)
            if not self._in_full:
                self._result.abridged.append(output)
            if len(self._result.outputs) < self._count:
                self._result.outputs.append(shown)
        if len(self._outputs) > self._count:
            self._result.outputs.append({"name": f"… and {len(self._outputs) - self._count} more"})
        return self._result

    def _output(self, output: Output) -> dict[str, Any]:
        name = {"name": sanitize(output.name, 100)}
        if len(output.tensors) == 1:
            return {**name, **self._tensor(output.tensors[0])}
        few = output.tensors[: _MAX_TENSORS if self._elements else 1]
        self._in_full = self._in_full and len(few) == len(output.tensors)
        return {**name, "tensorCount": len(output.tensors), "tensors": list(map(self._tensor, few))}

    def _tensor(self, tensor: Tensor) -> dict[str, Any]:
        shown: dict[str, Any] = {"type": tensor.type, "shape": list(tensor.shape)}
        if len(tensor.shape) > 16:
            shown["shape"] = f"{len(tensor.shape)} dimensions"
        if tensor.type in MEDIA_TYPES or tensor.type == "binary":
            return {**shown, **self._binary(tensor)}
        few = [self._element(tensor.type, element) for element in tensor.elements[: self._elements]]
        complete = len(few) == len(tensor.elements)
        self._in_full = self._in_full and complete
        top = self._top(tensor) if tensor.type in FLOAT_TYPES else []
        if complete:
            return {**shown, **({"top": top} if top and "label" in top[0] else {}), "values": few}
        numbers = {} if tensor.type == "string" else statistics(tensor.elements)
        return {**shown, **numbers, **({"top": top} if top else {}), "firstValues": few[:8]}

    def _element(self, type_: str, element: Any) -> Any:
        if type_ == "f32" and math.isfinite(element):
            return as_f32(element)
        if isinstance(element, str) and len(element) > self._text:
            self._in_full = False
        return as_json(element, self._text)

    def _binary(self, tensor: Tensor) -> dict[str, Any]:
        self._in_full = False
        few = tensor.elements[:_TOP]
        return {
            "elements": len(tensor.elements),
            "files" if tensor.type != "binary" else "values": [
                {**_format_of(element), "bytes": len(bytes_of(element)), "sha256": _digest(element)} for element in few
            ],
        }

    def _top(self, tensor: Tensor) -> list[dict[str, Any]]:
        """The highest scores, if it is a vector of them."""
        count = len(tensor.elements)
        if count < 2 or count not in tensor.shape:
            return []
        labels = self._labels_for(count)
        finite = ((value, -index) for index, value in enumerate(tensor.elements) if math.isfinite(value))
        best = heapq.nlargest(_TOP, finite)
        return [
            {"index": -index, **({"label": sanitize(labels[-index], 60)} if labels else {}), "value": as_f32(value)}
            for value, index in best
        ]

    def _labels_for(self, count: int) -> Sequence[str]:
        """The caller's labels, or an output of as many strings."""
        if len(self._labels) == count:
            self._result.labels_fit = True
            return self._labels
        for output in self._outputs:
            strings = output.tensors[0] if len(output.tensors) == 1 else None
            if strings is not None and strings.type == "string" and len(strings.elements) == count:
                return strings.elements
        return ()


def statistics(elements: Sequence[Any]) -> dict[str, Any]:
    """Smallest, largest and mean of the finite numbers, and how many are not finite."""
    smallest, largest, total, count = math.inf, -math.inf, 0.0, 0
    for part in _slices(elements):
        finite = [value for value in part if math.isfinite(value)]
        if finite:
            smallest, largest = min(smallest, *finite[:1], min(finite)), max(largest, max(finite))
            total += math.fsum(value / len(elements) for value in finite)  # the sum itself can be too large
            count += len(finite)
    other = {"notFinite": len(elements) - count} if count < len(elements) else {}
    if not count:
        return other
    return {
        "min": as_json(smallest),
        "max": as_json(largest),
        "mean": as_json(as_f32(total * (len(elements) / count))),
        **other,
    }


def _slices(elements: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(elements), _SLICE):
        yield elements[start : start + _SLICE]


def _format_of(element: Any) -> dict[str, str]:
    return {"format": sanitize(element.format, 20)} if isinstance(element, Media) else {}


def _digest(element: Any) -> str:
    return hashlib.sha256(bytes_of(element)).hexdigest()
