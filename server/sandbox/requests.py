"""The parameters of the API methods as they are in a frame, validated as the API page says."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal, NotRequired, TypeVar

from pydantic import Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from ...tools.decthings import types
from .errors import ErrorReply

T = TypeVar("T")

_UNIONS = ("options", "initialState")

Name = Annotated[str, Field(min_length=1)]  # the page does not say whether a name can be empty
Count = Annotated[int, Field(ge=0)]


class Provider(TypedDict):
    """The data of a parameter. Without `data`, the next blob contains the tensors."""

    name: str
    data: NotRequired[types.DatasetReference]


class CreateState(TypedDict):
    method: Literal["create"]
    name: Name
    params: list[Provider]
    launcherSpec: types.LauncherSpec


class UploadState(TypedDict):
    method: Literal["upload"]
    name: Name
    stateKeyNames: list[str]


class UploadOptions(TypedDict):
    type: Literal["upload"]
    tags: NotRequired[list[types.Tag]]
    parameterDefinitions: NotRequired[types.ParameterDefinitions]
    format: types.ModelFormat


class SnapshotOptions(TypedDict):
    type: Literal["basedOnModelSnapshot"]
    tags: NotRequired[list[types.Tag]]
    modelId: str
    snapshotId: str
    initialState: Annotated[types.CopyState | CreateState | UploadState, Field(discriminator="method")]


class CodeOptions(TypedDict):
    type: Literal["code"]
    tags: NotRequired[list[types.Tag]]
    parameterDefinitions: NotRequired[types.ParameterDefinitions]
    language: types.Language
    wasm: NotRequired[bool]
    preset: NotRequired[types.Preset]


@types.strict
class CreateModel(TypedDict):
    name: Name
    description: str
    publicAccess: NotRequired[bool]
    options: Annotated[
        CodeOptions | UploadOptions | SnapshotOptions | types.ExistingOptions, Field(discriminator="type")
    ]


@types.strict
class ModelRef(TypedDict):
    modelId: str


@types.strict
class SnapshotModel(TypedDict):
    modelId: str
    snapshotName: Name


@types.strict
class Evaluate(TypedDict):
    modelId: str
    params: list[Provider]
    snapshotId: NotRequired[str]


@types.strict
class EvaluationRef(TypedDict):
    modelId: str
    evaluationId: str


class Properties(TypedDict, total=False):
    name: Name
    description: str
    publicAccess: bool
    tags: list[types.Tag]
    parameterDefinitions: types.ParameterDefinitions
    defaultLauncherSpecs: dict[Literal["createState", "evaluate"], types.LauncherSpec]
    maxDurationsSeconds: dict[str, float]


@types.strict
class UpdateModel(TypedDict):
    modelId: str
    properties: Properties


@types.strict
class ListItems(TypedDict, total=False):
    offset: Count
    limit: Count
    filter: types.Filter
    sort: Literal["createdAt", "name"]
    sortDirection: Literal["asc", "desc"]


@cache
def _adapter(type_: type[T]) -> TypeAdapter[T]:
    return TypeAdapter(type_)


def parse(type_: type[T], params: dict[str, Any]) -> T:
    """Validate the parameters of a method.

    Raises:
        ErrorReply: invalid_parameter, for the first invalid parameter.
    """
    try:
        return _adapter(type_).validate_python(params)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise invalid_parameter(".".join(_without_tags(first["loc"])), first["msg"]) from None


def _without_tags(location: tuple[str | int, ...]) -> list[str]:
    """A location without the discriminator values of the unions `options` and `initialState`."""
    names = [str(part) for part in location]
    return [name for index, name in enumerate(names) if index == 0 or names[index - 1] not in _UNIONS]


def invalid_parameter(name: str, reason: str) -> ErrorReply:
    return ErrorReply("invalid_parameter", parameterName=name, reason=reason)
