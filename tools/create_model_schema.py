"""The inputSchema of create_model, shaped for what real clients hand on to their models.

No $ref, anyOf, oneOf, allOf, const, default, null or title, one flat `options` object, typed items in every
list, no description on a required object, the words of every enum in a description too, and less than
4,900 bytes: each of these is lost, or loses something else, on the way through some client.
What the four types and three methods really need is checked by the types in `create_model`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

from .answers import output_schema
from .decthings.tensors import TENSOR_TYPES
from .decthings.types import Language

TITLE = "Create a Decthings model"

DESCRIPTION = """\
Create a machine learning model on Decthings in one of four ways, chosen by options.type. Give the members that the type needs, and optional ones the user asked for:
- code (a new program): language; optional preset, wasm, parameterDefinitions
- upload (a model file): format, data {path} or {base64}; optional parameterDefinitions
- basedOnModelSnapshot: modelId, snapshotId, initialState {method: copy | create | upload, ...}
- fromExisting (a copy): modelId; optional snapshotId
All take tags [{tag, value}]. Relative paths start in the server's files folder. Element types: f32 f64, i8 to i64, u8 to u64, string boolean binary image audio video. Answers with modelId, or an error that says what to change."""  # noqa: E501 - a line break would reach the model

Node = dict[str, Any]


def _described(type_: str, description: str = "", **more: Any) -> Node:
    return {"type": type_, **({"description": description} if description else {}), **more}


def _text(description: str = "", enum: Sequence[str] = ()) -> Node:
    return _described("string", description, **({"enum": list(enum)} if enum else {}))


def _list(items: Node, description: str = "") -> Node:
    return _described("array", description, items=items)


def _object(properties: dict[str, Node], required: Sequence[str] = (), description: str = "") -> Node:
    needed = {"required": list(required)} if required else {}
    return _described("object", description, properties=properties, **needed)


_INTEGER = _described("integer")


def _definitions(*, full: bool) -> Node:
    """A list of parameter definitions."""
    shape = "[] one value, [13] a vector, -1 any length." if full else ""
    rules = {
        "shape": _list(_INTEGER, shape),
        "allowedTypes": _list(_text(enum=TENSOR_TYPES if full else ())),
        "annotations": _list(_text()),
    }
    properties = {
        "name": _text(),
        "required": _described("boolean", "Default true." if full else ""),
        "rules": _object(rules, ("shape", "allowedTypes") if full else ()),
    }
    return _list(_object(properties, ("name", "rules") if full else ()))


def _source(description: str = "") -> Node:
    return _object({"path": _text(), "base64": _text()}, description=description)


_TENSOR = _object(
    {
        "type": _text(enum=TENSOR_TYPES),
        "shape": _list(_INTEGER, "[] one value."),
        "data": _list(
            _text(),
            'Flat, row-major, as texts: "1.5", "true"; media and binary: "file:PATH" or a data: URI.',
        ),
    },
    ("type", "shape", "data"),
)

_PROVIDER_DATA = _object(
    {
        "type": _text("dataset needs datasetId, datasetKey. data needs data.", ("dataset", "data")),
        "datasetId": _text(),
        "datasetKey": _text(),
        "data": _list(_TENSOR),
    },
    ("type",),
)

_LAUNCHER = _object(
    {
        "cpus": _described("number"),
        "memoryMebibytes": _INTEGER,
        "diskMebibytes": _INTEGER,
        "swapMebibytes": _INTEGER,
        "gpus": _object({"model": _text("Like L4."), "count": _INTEGER}, ("model", "count")),
    },
    ("cpus", "memoryMebibytes"),
)

_INITIAL_STATE = _object(
    {
        "method": _text(
            "copy needs nothing more. create needs name, params, launcherSpec. upload needs name, data.",
            ("copy", "create", "upload"),
        ),
        "name": _text("Of the new state."),
        "params": _list(_object({"name": _text(), "data": _PROVIDER_DATA}, ("name", "data")), "Can be []."),
        "launcherSpec": _LAUNCHER,
        "data": _list(_object({"key": _text(), "data": _source()}, ("key", "data")), "State files."),
    },
    ("method",),
    "For basedOnModelSnapshot.",
)


def _input_schema(*, full: bool) -> Node:
    """The four lists of parameter definitions are alike. When not `full`, only the first says what holds for all."""
    options = _object(
        {
            "type": _text(
                "code needs language. upload needs format, data. basedOnModelSnapshot needs modelId, snapshotId, "
                "initialState. fromExisting needs modelId.",
                ("code", "upload", "basedOnModelSnapshot", "fromExisting"),
            ),
            "language": _text("For code: go, javascript, typescript, python, rust.", get_args(Language)),
            "preset": _text("For code. Starts from: none, empty, tensorflowjs, pytorch, tensorflow."),
            "wasm": _described("boolean", "Compile to WebAssembly."),
            "format": _text("For upload: onnx, tflite."),
            "data": _source("For upload. base64 only if small."),
            "modelId": _text("Source model."),
            "snapshotId": _text("Its snapshot."),
            "initialState": _INITIAL_STATE,
            "tags": _list(_object({"tag": _text(), "value": _text()}, ("tag", "value"))),
            "parameterDefinitions": _object(
                {
                    "createState": _definitions(full=True),
                    **{name: _definitions(full=full) for name in ("train", "evaluateInput", "evaluateOutput")},
                },
                description="For code, upload.",
            ),
        },
        ("type",),
    )
    return _object(
        {
            "name": _text(),
            "description": _text("What the model does."),
            "publicAccess": _described("boolean", "Every Decthings user can use it. Default false."),
            "options": options,
        },
        ("name", "description", "options"),
    )


INPUT_SCHEMA = _input_schema(full=True)
"""What arguments are read and explained by."""

PUBLISHED_SCHEMA = _input_schema(full=False)
"""What tools/list shows."""

_RECEIPT: dict[str, Node] = {"bytes": _INTEGER, "sha256": _text()}

OUTPUT_SCHEMA = output_schema(
    result=_object({"modelId": _text(), "isNowCreating": _described("boolean")}, ("modelId",)),
    upload=_object(_RECEIPT),
    uploads=_list(_object({"key": _text(), **_RECEIPT})),
    ignored=_list(_text()),
)

_STILL_CREATING = (
    "The model exists, and its initial state is still being made, which can take minutes. Give the person its "
    "modelId and say that it can be used once that is finished. Do not create it again."
)

NEXT_STEPS = {
    False: "The model is ready. Give the person its modelId.",
    True: _STILL_CREATING,
    None: "The model exists; Decthings did not say whether it is ready. Give the person its modelId.",
}
"""By `isNowCreating`."""
