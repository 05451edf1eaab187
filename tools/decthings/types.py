"""The JSON types of the Decthings API, with the names and the nesting of the API page.

They are plain dictionaries: the form of validated arguments, of requests, and of what the sandbox validates.
A `Blob` takes the place of the page's Buffer, a `Tensor` that of its DecthingsTensor. Parameter definitions are
sent as lists: the page shows a single definition for each, but the official clients send lists.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, get_args

from pydantic import ConfigDict, Field, FiniteFloat, with_config

# Here and wherever types are validated: pydantic cannot use typing's on Python 3.11.
from typing_extensions import TypedDict

from .blobs import Blob
from .tensors import Tensor, TensorType

strict = with_config(ConfigDict(extra="forbid", strict=True))
"""For a type that is validated: it holds for the types within, too."""

Language = Literal["go", "javascript", "typescript", "python", "rust"]

Preset = Literal["none", "empty", "tensorflowjs", "pytorch", "tensorflow"]
PRESETS: tuple[Preset, ...] = get_args(Preset)

ModelFormat = Literal["onnx", "tflite"]
FORMATS: tuple[ModelFormat, ...] = get_args(ModelFormat)


class Tag(TypedDict):
    tag: str
    value: str


class ParameterRules(TypedDict):
    """What a parameter accepts. `shape`: -1 is any length, [] one value. `annotations` are for Decthings' web pages."""

    shape: list[int]
    allowedTypes: list[TensorType]
    annotations: list[str]


class ParameterDefinition(TypedDict):
    name: str
    required: bool
    rules: ParameterRules


class ParameterDefinitions(TypedDict):
    createState: list[ParameterDefinition]
    train: list[ParameterDefinition]
    evaluateInput: list[ParameterDefinition]
    evaluateOutput: list[ParameterDefinition]


DEFINITION_LISTS = ("createState", "train", "evaluateInput", "evaluateOutput")
"""The names of the lists in `ParameterDefinitions`."""


_MAX_EXACT = 2**53 - 1
"""Of integers in JSON: larger ones lose digits on the way."""

_Count = Annotated[int, Field(ge=1, le=_MAX_EXACT)]
_Mebibytes = Annotated[int, Field(ge=0, le=_MAX_EXACT)]


class Gpus(TypedDict):
    model: str
    count: _Count


class LauncherSpec(TypedDict):
    """The machine to run on. `cpus` may be a fraction; memory, disk and swap are in MiB."""

    cpus: Annotated[FiniteFloat, Field(gt=0)]
    memoryMebibytes: _Count
    diskMebibytes: NotRequired[_Mebibytes]
    swapMebibytes: NotRequired[_Mebibytes]
    gpus: NotRequired[Gpus]


class DatasetReference(TypedDict):
    type: Literal["dataset"]
    datasetId: str
    datasetKey: str


class InlineData(TypedDict):
    type: Literal["data"]
    data: list[Tensor]


class ParameterProvider(TypedDict):
    name: str
    data: DatasetReference | InlineData


class CopyState(TypedDict):
    method: Literal["copy"]


class CreateState(TypedDict):
    method: Literal["create"]
    name: str
    params: list[ParameterProvider]
    launcherSpec: LauncherSpec


class StateFile(TypedDict):
    key: str
    data: Blob


class UploadState(TypedDict):
    method: Literal["upload"]
    name: str
    data: list[StateFile]


class CodeOptions(TypedDict):
    type: Literal["code"]
    tags: NotRequired[list[Tag]]
    parameterDefinitions: NotRequired[ParameterDefinitions]
    language: Language
    preset: NotRequired[str]
    wasm: NotRequired[bool]


class UploadOptions(TypedDict):
    type: Literal["upload"]
    tags: NotRequired[list[Tag]]
    parameterDefinitions: NotRequired[ParameterDefinitions]
    format: str
    data: Blob


class SnapshotOptions(TypedDict):
    type: Literal["basedOnModelSnapshot"]
    tags: NotRequired[list[Tag]]
    modelId: str
    snapshotId: str
    initialState: CopyState | CreateState | UploadState


class ExistingOptions(TypedDict):
    type: Literal["fromExisting"]
    tags: NotRequired[list[Tag]]
    modelId: str
    snapshotId: NotRequired[str]


class CreateModelParams(TypedDict):
    name: str
    description: str
    publicAccess: NotRequired[bool]
    options: CodeOptions | UploadOptions | SnapshotOptions | ExistingOptions


class EvaluateParams(TypedDict):
    """Parameters of evaluate. Without a snapshot, the model runs as it is now."""

    modelId: str
    params: list[ParameterProvider]
    snapshotId: NotRequired[str]


class Filter(TypedDict, total=False):
    """Which models or datasets to list. `names` are exact; `searchName` is a part of a name."""

    owners: list[str]
    tags: list[Tag]
    ids: list[str]
    names: list[str]
    searchName: str


class ListParams(TypedDict, total=False):
    """Parameters of getModels and getDatasets. Without a limit, Decthings returns 20 items."""

    offset: int
    limit: int
    filter: Filter
    sort: str
    sortDirection: Literal["asc", "desc"]


class ModelProperties(TypedDict, total=False):
    """What updateModel can change."""

    name: str
    description: str
    publicAccess: bool
    tags: list[Tag]
    parameterDefinitions: ParameterDefinitions
    defaultLauncherSpecs: dict[str, LauncherSpec]
    maxDurationsSeconds: dict[str, float]


class CreatedModel(TypedDict):
    modelId: str
    isNowCreating: NotRequired[bool]


class ListOfModels(TypedDict):
    """The result of getModels; each model has the fields of the API page, passed on unchanged."""

    models: list[dict[str, Any]]
    total: int
    offset: int
    limit: int


class ListOfDatasets(TypedDict):
    datasets: list[dict[str, Any]]
    total: int
    offset: int
    limit: int
