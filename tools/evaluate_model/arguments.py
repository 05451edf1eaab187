"""The arguments of evaluate_model: their schema, how they are read, and the types they are checked by.

The published form of an input is flat, {name, data}, so that a person's "try it with cat.png" needs a name and a
path; type and shape come from the model. The forms of create_model and of the API page are read too.
"""

from __future__ import annotations

from typing import Annotated, Any, NotRequired

from pydantic import AfterValidator
from typing_extensions import TypedDict

from ..arguments.reader import Reader
from ..arguments.schema import INTEGER, Node, described, list_of, object_of, string
from ..arguments.validation import invalid
from ..decthings import TENSOR_TYPES, TensorType, types
from ..decthings.json_codec import is_list, is_object, parse_if_json
from ..decthings.wire import MAX_BLOBS

_DATASET = ("datasetId", "datasetKey")


class TensorArgument(TypedDict):
    """A tensor whose type and shape can be missing. Elements are checked when both are known."""

    type: NotRequired[TensorType]
    shape: NotRequired[list[int]]
    data: list[Any]


class InputArgument(TypedDict):
    """One input: a tensor, several tensors, or a dataset."""

    name: str
    type: NotRequired[TensorType]
    shape: NotRequired[list[int]]
    data: NotRequired[list[Any]]
    tensors: NotRequired[list[TensorArgument]]
    datasetId: NotRequired[str]
    datasetKey: NotRequired[str]


def _has_one_source(given: InputArgument) -> InputArgument:
    dataset = [name for name in _DATASET if name in given]
    sources = [name for name in ("data", "tensors") if name in given] + dataset[:1]
    if len(sources) != 1:
        raise invalid("needs either data, or datasetId and datasetKey", allowed=["data", *_DATASET])
    if len(dataset) == 1:
        raise invalid("needs both datasetId and datasetKey")
    return given


def _are_distinct(params: list[InputArgument]) -> list[InputArgument]:
    if len(params) > MAX_BLOBS:
        raise invalid(f"has {len(params)} inputs, and one call carries at most {MAX_BLOBS}")
    earlier = set[str]()
    for index, given in enumerate(params):
        if given["name"] in earlier:
            raise invalid("has the same name as an earlier input", at=(index, "name"))
        earlier.add(given["name"])
    return params


@types.strict
class EvaluateArguments(TypedDict):
    modelId: str
    snapshotId: NotRequired[str]
    params: NotRequired[
        Annotated[list[Annotated[InputArgument, AfterValidator(_has_one_source)]], AfterValidator(_are_distinct)]
    ]
    labels: NotRequired[list[str]]
    compareWithFile: NotRequired[str]
    evaluationId: NotRequired[str]
    cancel: NotRequired[bool]


def _cancels_one(arguments: EvaluateArguments) -> EvaluateArguments:
    if arguments.get("cancel") and "evaluationId" not in arguments:
        raise invalid("needs evaluationId: which evaluation to cancel", at=("cancel",))
    return arguments


CheckedArguments = Annotated[EvaluateArguments, AfterValidator(_cancels_one)]


def _schema(*, full: bool) -> Node:
    """The full schema has the form for several tensors, which a person rarely needs."""
    tensor = {
        "data": list_of(string(), 'Like "1.5", "file:PATH".'),
        "type": string(enum=TENSOR_TYPES if full else ()),
        "shape": list_of(INTEGER),
    }
    tensors = {"tensors": list_of(object_of(tensor, ("data",)))} if full else {}
    item = object_of({"name": string(), **tensor, **tensors, **{name: string() for name in _DATASET}}, ("name",))
    return object_of(
        {
            "modelId": string("Which model."),
            "snapshotId": string("Of a snapshot, to run that."),
            "params": list_of(item, "Type and shape only where the model leaves them open."),
            "labels": list_of(string(), "Of scores."),
            "compareWithFile": string("Its ONNX or TFLite file."),
            "evaluationId": string("Of a running one."),
            "cancel": described("boolean", "Ends it."),
        },
        ("modelId",),
    )


SCHEMA = _schema(full=True)
PUBLISHED_SCHEMA = _schema(full=False)


def _params(params: Any) -> Any:
    """Inputs as an object from names to data: {"image": "file:cat.png"}."""
    given = parse_if_json(params)
    if is_object(given) and not isinstance(given.get("name"), str):
        return [{"name": name, "data": data} for name, data in given.items()]
    return given


def _input(given: Any) -> Any:
    """One input in any of its forms, in the flat one."""
    if not is_object(given):
        return given
    members = dict(given)
    for name in ("tensors", "value", "values", "path", "base64"):
        if members.get(name) and members.get("data") in (None, "", []):
            value = members.pop(name)
            members["data"] = {name: value} if name in ("path", "base64") else value
    data = members.get("data")
    nested = parse_if_json(data) if isinstance(data, str) and data.lstrip().startswith(("{", "[{")) else data
    if is_object(nested) and not _is_source(nested):
        inner = {name: value for name, value in nested.items() if name != "type" or value not in ("data", "dataset")}
        rest = {name: value for name, value in members.items() if name != "data"}
        return _input({**rest, **inner, **({"data": inner["tensors"]} if "tensors" in inner else {})})
    if is_list(nested) and nested and all(is_object(item) and not _is_source(item) for item in nested):
        members.pop("data")
        members.pop("tensors", None)
        tensors = list(map(_single, nested))
        return {**members, **(tensors[0] if len(tensors) == 1 else {"tensors": tensors})}
    members.pop("tensors", None)
    return {**members, "data": _items(nested)} if nested is not None else members


def _single(tensor: Any) -> Any:
    return {**tensor, "data": _items(tensor["data"])} if "data" in tensor else tensor


def _is_source(value: dict[str, Any]) -> bool:
    """Whether it names a file, or is binary data."""
    return bool(value.keys() & {"path", "base64"})


def _items(data: Any) -> Any:
    """The list of elements; a string that looks like a list is decided on when its type is known."""
    return data if is_list(data) else [data]


READER = Reader(SCHEMA, {"params": _params, "params[]": _input})
