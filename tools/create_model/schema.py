"""The inputSchema of create_model, shaped for what real clients hand on to their models.

No $ref, anyOf, oneOf, allOf, const, default, null or title, one flat `options` object, typed items in every
list, no description on a required object, the values of every enum in a description too, and less than
4,900 bytes: each of these is lost, or loses something else, on the way through some client.
What the four types and three methods really need is checked by the types in `arguments`.
"""

from __future__ import annotations

from typing import get_args

from ..arguments.parameter_definitions import parameter_definitions_schema
from ..arguments.schema import INTEGER, Node, described, list_of, object_of, string, tags
from ..decthings.tensors import TENSOR_TYPES
from ..decthings.types import FORMATS, PRESETS, Language
from ..results.tool_result import output_schema

_LANGUAGES = get_args(Language)

TITLE = "Create a Decthings model"

DESCRIPTION = """\
Create a machine learning model on Decthings, by options.type. Give what the type needs, and options the user asked for:
- code (a new program): language; optional preset (by name pytorch, tensorflow for python, tensorflowjs for javascript, typescript), wasm, parameterDefinitions
- upload (a model file): format, data {path}, {base64} or {upload: true}; optional parameterDefinitions
- basedOnModelSnapshot (a snapshot's program; copy: with its state): modelId, snapshotId, initialState {method: copy | create | upload, ...}
- fromExisting (a copy; of which states, snapshots, access is undocumented): modelId; optional snapshotId
All take tags. find_models with detail shows a source's createState. Relative paths start in the server's files folder. Element types: f32 f64, i8 to i64, u8 to u64, string boolean binary image audio video. Returns modelId."""  # noqa: E501 - a line break would reach the model


def _source(description: str = "", **more: Node) -> Node:
    return object_of({"path": string(), "base64": string(), **more}, description=description)


_TENSOR = object_of(
    {
        "type": string(enum=TENSOR_TYPES),
        "shape": list_of(INTEGER, "[] one value."),
        "data": list_of(
            string(),
            "Flat, row-major strings: 1.5, true; binary: file:PATH, data:;base64,...; media: file:PATH, "
            "data:image/png;base64,...",
        ),
    },
    ("type", "shape", "data"),
)

_PROVIDER_DATA = object_of(
    {
        "type": string("dataset needs datasetId, datasetKey. data needs data.", ("dataset", "data")),
        "datasetId": string(),
        "datasetKey": string(),
        "data": list_of(_TENSOR),
    },
    ("type",),
)

_LAUNCHER = object_of(
    {
        "cpus": described("number"),
        "memoryMebibytes": described("integer", "8 GB is 8192."),
        "diskMebibytes": INTEGER,
        "swapMebibytes": INTEGER,
        "gpus": object_of({"model": string("Like L4."), "count": INTEGER}, ("model", "count")),
    },
    ("cpus", "memoryMebibytes"),
)

_PARAMS = "By the source's parameterDefinitions.createState."

_STATE_FILE = object_of({"key": string(), "data": _source(upload=described("boolean"))}, ("key", "data"))

_INITIAL_STATE = object_of(
    {
        "method": string(
            "copy needs nothing more. create needs name, params, launcherSpec. upload needs name, data.",
            ("copy", "create", "upload"),
        ),
        "name": string(),
        "params": list_of(object_of({"name": string(), "data": _PROVIDER_DATA}, ("name", "data")), _PARAMS),
        "launcherSpec": _LAUNCHER,
        "data": list_of(_STATE_FILE),
    },
    ("method",),
    "For basedOnModelSnapshot.",
)


def _input_schema(*, full: bool) -> Node:
    """The four lists of parameter definitions are alike. When not `full`, only the first says what holds for all."""
    options = object_of(
        {
            "type": string(
                "code needs language. upload needs format, data. basedOnModelSnapshot needs modelId, snapshotId, "
                "initialState. fromExisting needs modelId.",
                ("code", "upload", "basedOnModelSnapshot", "fromExisting"),
            ),
            "language": string(f"For code: {', '.join(_LANGUAGES)}.", _LANGUAGES),
            "preset": string(f"For code to start from: {', '.join(PRESETS)}."),
            "wasm": described("boolean", "As WebAssembly."),
            "format": string(f"{' or '.join(FORMATS)}, for upload."),
            "data": _source(
                "For upload; base64 if small; upload: true for a link where the user uploads it.",
                upload=described("boolean"),
            ),
            "modelId": string("The source's id."),
            "snapshotId": string("Its snapshot's id."),
            "initialState": _INITIAL_STATE,
            "tags": tags(),
            "parameterDefinitions": parameter_definitions_schema(
                full=full, description="For code, upload; lists are alike."
            ),
        },
        ("type",),
    )
    return object_of(
        {
            "name": string(),
            "description": string("What the model does."),
            "publicAccess": described("boolean", "Everyone can use it. Default false."),
            "options": options,
        },
        ("name", "description", "options"),
    )


INPUT_SCHEMA = _input_schema(full=True)
"""What arguments are read and explained by."""

PUBLISHED_SCHEMA = _input_schema(full=False)
"""What tools/list shows."""

_RECEIPT: dict[str, Node] = {"bytes": INTEGER, "sha256": string()}

OUTPUT_SCHEMA = output_schema(
    model=object_of({}),
    result=object_of({"modelId": string(), "isNowCreating": described("boolean")}, ("modelId",)),
    upload=object_of({**_RECEIPT, "link": string()}),
    uploads=list_of(object_of({"key": string(), **_RECEIPT})),
    ignored=list_of(string()),
    lookUp=object_of({}),
)

_STILL_CREATING = (
    "The model exists, and its initial state is still being made, which can take minutes. Call wait_for_model with "
    "the modelId. Do not create it again."
)

NEXT_STEPS = {
    False: "The model is ready. Give the user its modelId.",
    True: _STILL_CREATING,
    None: "The model exists; Decthings did not say whether it is ready. Give the user its modelId.",
}
"""By `isNowCreating`."""

TRY_IT = (
    " If the user wants to try it, which uses their compute: evaluate_model with compareWithFile shows that it gives "
    "what the file gives."
)
"""After an upload."""

WITHOUT_DEFINITIONS = (
    " It was created without parameterDefinitions; whether Decthings reads them from the file is not documented. If "
    "the user wants them: inspect_model_file reads them from the file, and update_model sets them."
)
