"""inspect_model_file: the inputs and outputs of a model file, as parameter definitions for create_model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, NotRequired, cast

import anyio.to_thread
from pydantic import AfterValidator
from typing_extensions import TypedDict

from .arguments.binary_data import Source, parse_source
from .arguments.reader import Reader
from .arguments.schema import object_of, string
from .calls.call import Call
from .calls.tool import DecthingsTool
from .decthings import types
from .decthings.blobs import size_of
from .files.formats import FORMATS, describe, recognize
from .files.structure import MalformedModel, ModelStructure, TensorSpec
from .files.upload import FileBlob, reader_of
from .results.errors import NotAModelFile
from .results.text import join_words, sanitize, sanitize_json
from .results.tool_result import READS, Success, output_schema


@types.strict
class InspectArguments(TypedDict):
    path: NotRequired[str]
    base64: NotRequired[str]


async def inspect_model_file(arguments: InspectArguments, call: Call) -> Success:
    source = cast(Source, arguments)  # the validator has read them
    file = source if isinstance(source, bytes) else call.services.files.open(source.path)
    structure = await anyio.to_thread.run_sync(read_structure, file)
    unmapped = [
        {**_value_summary(value), "reason": reason}
        for value in (*structure.inputs, *structure.outputs)
        if (reason := _unmapped_reason(value)) is not None
    ]
    fields = {
        "format": structure.format,
        "bytes": size_of(file),
        "producer": sanitize(structure.producer, 200),
        **sanitize_json(structure.versions),
        "inputs": list(map(_value_summary, structure.inputs)),
        "outputs": list(map(_value_summary, structure.outputs)),
        "parameterDefinitions": parameter_definitions(structure),
        **({"unmapped": unmapped} if unmapped else {}),
    }
    return Success(
        f"{_name_of(file)} is a model in {structure.format} format.",
        fields,
        f"{_SOME_UNMAPPED} {_NEXT_STEP}" if unmapped else _NEXT_STEP,
        untrusted=("producer", "inputs", "outputs", "parameterDefinitions", *(("unmapped",) if unmapped else ())),
    )


_NEXT_STEP = (
    "create_model with type upload takes parameterDefinitions as they are; keep the file's names unless the user "
    "wants others. Left out, the model is created without any (whether Decthings reads them from the file is not "
    "documented), and update_model can set them later."
)
_SOME_UNMAPPED = (
    "The values in unmapped have no parameter definition; each says why. Tell the user: the model "
    "may need to be exported again before all of it can be used."
)
_MAX_NAME = 200


def _unmapped_reason(value: TensorSpec) -> str | None:
    if value.decthings_type is None:
        return "Decthings has no element type for it"
    if value.shape is None:
        return "its number of dimensions is open"
    if sanitize(value.name, _MAX_NAME) != value.name:
        return "its name is too long or has characters that cannot be shown"
    return None


def _name_of(file: FileBlob | bytes) -> str:
    return file.name if isinstance(file, FileBlob) else "The base64"


def read_structure(file: FileBlob | bytes) -> ModelStructure:
    """The structure of a model file.

    Raises:
        NotAModelFile
    """
    name, size = _name_of(file), size_of(file)
    with reader_of(file) as read_at:
        format_ = recognize(size, read_at)
        if format_ is None:
            raise NotAModelFile(
                f"{name} is not a complete {join_words(known.name for known in FORMATS)} file; it looks like "
                f"{describe(size, read_at)}.",
                "Ask the user for the model file.",
            )
        try:
            return format_.read(size, read_at)
        except MalformedModel as error:
            raise NotAModelFile(
                f"{name} is a malformed {format_.name} model: {error}.",
                "Ask the user to export or to download it again.",
            ) from error


def parameter_definitions(structure: ModelStructure) -> dict[str, Any]:
    """What can be mapped, ready for create_model. The other lists are empty: the file does not describe them."""
    definitions: dict[str, Any] = {name: [] for name in types.DEFINITION_LISTS}
    definitions["evaluateInput"] = _definitions(structure.inputs)
    definitions["evaluateOutput"] = _definitions(structure.outputs)
    return definitions


def _definitions(values: Sequence[TensorSpec]) -> list[dict[str, Any]]:
    return [
        {
            "name": value.name,
            "required": True,
            "rules": {"shape": value.shape, "allowedTypes": [value.decthings_type], "annotations": []},
        }
        for value in values
        if _unmapped_reason(value) is None
    ]


def _value_summary(value: TensorSpec) -> dict[str, Any]:
    return {"name": sanitize(value.name, _MAX_NAME), "elementType": value.element_type, "shape": value.shape}


_VALUES = {"type": "array", "items": object_of({"name": string(), "elementType": string()})}

INSPECT_MODEL_FILE = DecthingsTool(
    handler=inspect_model_file,
    title="Inspect a model file",
    description="Read the structure of an ONNX or TFLite file, not its weights: inputs and outputs with names, types "
    "and shapes (-1 is any length), and parameterDefinitions ready for create_model with type upload.",
    reader=Reader(
        object_of({"path": string("In the server's files folder."), "base64": string("Instead of path, if small.")})
    ),
    arguments=Annotated[InspectArguments, AfterValidator(parse_source)],
    output_schema=output_schema(
        format=string(), inputs=_VALUES, outputs=_VALUES, parameterDefinitions=object_of({}), unmapped=_VALUES
    ),
    effect=READS,
)
