"""The arguments of create_model: how they are read, and the types they are checked by.

They are those of the API page, with files and inline data as an assistant can write them.
"""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import AfterValidator, Field
from typing_extensions import TypedDict

from ..arguments.binary_data import UploadableArgument, UploadByLink
from ..arguments.reader import Reader, TaggedUnion
from ..arguments.tensors import TensorArgument
from ..arguments.validation import invalid
from ..decthings import types
from ..decthings.wire import MAX_BLOBS
from . import schema
from .rewrites import AUTOFILLED, REWRITES


class InlineArgument(TypedDict):
    type: Literal["data"]
    data: list[TensorArgument]


class ProviderArgument(TypedDict):
    name: str
    data: Annotated[
        types.DatasetReference | InlineArgument,
        Field(discriminator="type"),
    ]


def _few_inline(providers: list[ProviderArgument]) -> list[ProviderArgument]:
    inline = sum(provider["data"]["type"] == "data" for provider in providers)
    if inline > MAX_BLOBS:
        raise invalid(f"has {inline} inline parameters, and one call carries at most {MAX_BLOBS}")
    return providers


class CreateStateArgument(TypedDict):
    method: Literal["create"]
    name: str
    params: Annotated[list[ProviderArgument], AfterValidator(_few_inline)]
    launcherSpec: types.LauncherSpec


class StateFileArgument(TypedDict):
    key: str
    data: UploadableArgument


def _within_frame(files: list[StateFileArgument]) -> list[StateFileArgument]:
    keys = [file["key"] for file in files]
    if len(keys) > MAX_BLOBS:
        raise invalid(f"has {len(keys)} files, and one call carries at most {MAX_BLOBS}")
    earlier = set[str]()
    for index, key in enumerate(keys):
        if key in earlier:
            raise invalid("has the same key as an earlier file", at=(index,))
        earlier.add(key)
        if isinstance(files[index]["data"], UploadByLink) and len(files) > 1:
            raise invalid('can be {"upload": true} only where it is the only file', at=(index, "data"))
    return files


class UploadStateArgument(TypedDict):
    method: Literal["upload"]
    name: str
    data: Annotated[list[StateFileArgument], AfterValidator(_within_frame)]


class UploadArgument(TypedDict):
    type: Literal["upload"]
    tags: NotRequired[list[types.Tag]]
    parameterDefinitions: NotRequired[types.ParameterDefinitions]
    format: str
    data: UploadableArgument


class SnapshotArgument(TypedDict):
    type: Literal["basedOnModelSnapshot"]
    tags: NotRequired[list[types.Tag]]
    modelId: str
    snapshotId: str
    initialState: Annotated[
        types.CopyState | CreateStateArgument | UploadStateArgument,
        Field(discriminator="method"),
    ]


@types.strict
class CreateModelArguments(TypedDict):
    name: str
    description: str
    publicAccess: NotRequired[bool]
    options: Annotated[
        types.CodeOptions | UploadArgument | SnapshotArgument | types.ExistingOptions,
        Field(discriminator="type"),
    ]


def _tagged_union(tag: str, **by_word: type) -> TaggedUnion:
    return TaggedUnion(tag, {word: frozenset(type_.__annotations__) for word, type_ in by_word.items()})


READER = Reader(
    schema.INPUT_SCHEMA,
    REWRITES,
    {
        "options": _tagged_union(
            "type",
            code=types.CodeOptions,
            upload=UploadArgument,
            basedOnModelSnapshot=SnapshotArgument,
            fromExisting=types.ExistingOptions,
        ),
        "options.initialState": _tagged_union(
            "method", copy=types.CopyState, create=CreateStateArgument, upload=UploadStateArgument
        ),
        "options.initialState.params[].data": _tagged_union(
            "type", dataset=types.DatasetReference, data=InlineArgument
        ),
    },
    AUTOFILLED,
)
