"""Reading what evaluate, getFinishedEvaluationResult and getEvaluations return.

A run that failed is a result too. The outputs are in the blobs of the response: one for each name, in the same order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from .errors import InvalidResponse
from .json_codec import is_list, is_object
from .tensors import Tensor, decode_tensors, object_count
from .varint import MalformedFrame

# Two of the official clients look for the second names in the result of getFinishedEvaluationResult.
_SUCCESS = ("success", "evaluationSuccess")
_FAILED = ("failed", "evaluationFailed")

MAX_OBJECTS = 500_000
"""Of all outputs of a model, by `object_count`."""


@dataclass(frozen=True)
class Output:
    """One output of a model. Elements of fixed size are a `numeric_view`."""

    name: str
    tensors: Sequence[Tensor]


@dataclass(frozen=True)
class EvaluationResult:
    """How an evaluation ended: `details` is the object of the API page, without the outputs."""

    succeeded: bool
    details: dict[str, Any]
    outputs: Sequence[Output] = ()


@dataclass(frozen=True)
class Evaluations:
    """The items of getEvaluations as they came; each has a string `id`."""

    running: Sequence[dict[str, Any]]
    finished: Sequence[dict[str, Any]]

    def ids(self) -> set[str]:
        return {item["id"] for item in (*self.running, *self.finished)}


def evaluation_result(result: dict[str, Any], blobs: Sequence[bytes], *, may_have_acted: bool) -> EvaluationResult:
    """Read the result of an evaluation.

    Raises:
        InvalidResponse: it has neither a success nor a failure, or its outputs are not complete tensors.
    """
    success, failed = _first(result, _SUCCESS), _first(result, _FAILED)
    try:
        if is_object(success) and failed is None:
            return EvaluationResult(True, success, _outputs(success.get("output"), blobs))
        if is_object(failed) and success is None:
            return EvaluationResult(False, failed)
        raise MalformedFrame("it does not say how the evaluation ended")
    except MalformedFrame as error:
        problem = f"Invalid response from Decthings: {error}."
        raise InvalidResponse(problem, may_have_acted=may_have_acted) from error


def _first(result: dict[str, Any], names: Sequence[str]) -> Any:
    return next((result[name] for name in names if result.get(name) is not None), None)


def _outputs(listed: Any, blobs: Sequence[bytes]) -> list[Output]:
    if not is_list(listed) or not all(is_object(item) and isinstance(item.get("name"), str) for item in listed):
        raise MalformedFrame("it has no list of outputs")
    names = [item["name"] for item in cast(list[dict[str, Any]], listed)]
    if len(names) != len(blobs):
        raise MalformedFrame(f"it names {len(names)} outputs, and has {len(blobs)} blobs")
    if len(set(names)) != len(names):
        raise MalformedFrame("two of its outputs have the same name")
    return [Output(name, tensors) for name, tensors in zip(names, decode_outputs(blobs), strict=True)]


def decode_outputs(blobs: Sequence[bytes]) -> list[list[Tensor]]:
    """The tensors in each blob; elements of fixed size are a `numeric_view`.

    Raises:
        MalformedFrame: the bytes are not complete tensors, or there are more than `MAX_OBJECTS` of them.
    """
    left = MAX_OBJECTS
    outputs: list[list[Tensor]] = []
    for blob in blobs:
        outputs.append(decode_tensors(blob, as_views=True, most=left))
        left -= sum(map(object_count, outputs[-1]))
    return outputs


def evaluations(result: dict[str, Any]) -> Evaluations:
    """Read the result of getEvaluations.

    Raises:
        InvalidResponse: it has no such lists.
    """
    lists = [result.get(name) for name in ("running", "finished")]
    for items in lists:
        if not is_list(items) or not all(is_object(item) and isinstance(item.get("id"), str) for item in items):
            raise InvalidResponse("Decthings' response has no lists of evaluations.", may_have_acted=False)
    return Evaluations(*cast(list[list[dict[str, Any]]], lists))
