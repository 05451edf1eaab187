"""From the inputs in the arguments to parameter providers: types and shapes are completed, everything is checked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

from pydantic_core import PydanticCustomError

from ..arguments.binary_data import Source, parse_media, parse_source
from ..arguments.limits import MAX_PROBLEMS
from ..arguments.tensors import check_tensor
from ..arguments.validation import invalid, invalid_arguments, problem_of
from ..calls.services import Services
from ..create_model.request import RequestBuilder
from ..decthings import Tensor, TensorType, types
from ..decthings.json_codec import is_list, is_object, parse_if_json
from ..decthings.tensors import MEDIA_TYPES
from ..files.media import FORMATS
from ..files.npy import NotNpy, read_npy
from ..results.errors import Problem
from ..results.text import join_words
from .arguments import EvaluateArguments, InputArgument, TensorArgument
from .definitions import InputDefinition

_MAX_ARRAY_BYTES = 64 << 20
"""Of a file whose bytes become the elements of a tensor."""
_MAX_LABEL_BYTES = 1 << 20

_Path = tuple[str | int, ...]


class InputReader:
    """Completes and checks inputs. Arguments are checked first; files are opened only when nothing else is wrong."""

    def __init__(self, definitions: Sequence[InputDefinition], services: Services) -> None:
        self._definitions = {definition.name: definition for definition in definitions}
        self._services = services
        self._opens_files = self._leaves_files = False
        self._problems: list[Problem] = []

    def providers(self, params: Sequence[InputArgument]) -> list[types.ParameterProvider]:
        """The providers for a request; it blocks while files are read.

        Raises:
            InvalidArguments: with everything that is wrong.
            FileError: a file cannot be opened.
        """
        provided = self._checked(params)
        if self._leaves_files:
            self._opens_files = True
            provided = self._checked(params)
        builder = RequestBuilder(self._services)
        return [builder.provider(provider) for provider in provided]

    def _checked(self, params: Sequence[InputArgument]) -> list[Any]:
        provided = [self._provider(given, ("params", index)) for index, given in enumerate(params)]
        self._check_required({given["name"] for given in params})
        if self._problems:
            raise invalid_arguments(self._problems[:MAX_PROBLEMS], len(self._problems))
        return provided

    def _check_required(self, given: set[str]) -> None:
        missing = [str(d) for d in self._definitions.values() if d.required and d.name not in given]
        if missing:
            self._add(invalid(f"lacks {join_words(missing, 'and')}, which the model needs"), ("params",))

    def _add(self, error: PydanticCustomError, path: _Path, given: object = None) -> None:
        self._problems.append(problem_of(error, path, given))

    def _provider(self, given: InputArgument, path: _Path) -> Any:
        name = given["name"]
        definition = self._definitions.get(name)
        if self._definitions and definition is None:
            self._add(invalid("is not an input of the model", allowed=list(self._definitions)), (*path, "name"), name)
            return None
        if "datasetId" in given:
            dataset = {"type": "dataset", "datasetId": given["datasetId"], "datasetKey": given.get("datasetKey", "")}
            return {"name": name, "data": dataset}
        wanted = definition or InputDefinition(name, True, (), None)
        parts = given.get("tensors") or _split(cast(TensorArgument, given), wanted)
        one = len(parts) == 1
        tensors = [self._tensor(part, wanted, path if one else (*path, "tensors", i)) for i, part in enumerate(parts)]
        return {"name": name, "data": {"type": "data", "data": tensors}}

    def _tensor(self, part: TensorArgument, wanted: InputDefinition, path: _Path) -> Any:
        try:
            return self._completed(part, wanted)
        except PydanticCustomError as error:
            self._add(error, path)
            return None

    def _completed(self, part: TensorArgument, wanted: InputDefinition) -> Any:
        """The tensor with type and shape, its elements checked; None for a file of numbers that is read later."""
        allowed: Sequence[TensorType] = _allowed_types(part, wanted)
        source = None if set(allowed) == {"string"} else _file_in(part["data"])
        if source is not None and not set(allowed) & {*MEDIA_TYPES, "binary"}:
            self._leaves_files = True
            return self._from_file(source, allowed, wanted) if self._opens_files else None
        if not allowed:
            raise invalid(f"needs type: the model does not say what {wanted} takes")
        if source is not None:
            allowed = [_media_type(part["data"][0], allowed)]
        return _first_that_fits(part, allowed, wanted)

    def _from_file(self, source: Source, allowed: Sequence[TensorType], wanted: InputDefinition) -> Any:
        """The numbers in a .npy file; or the bytes of any file, for an input of bytes."""
        data = _content(source, self._services)
        is_npy = data[:6] == b"\x93NUMPY"
        takes_bytes = "u8" in (allowed or ("u8",)) and (wanted.shape is None or len(wanted.shape) == 1)
        if is_npy:
            try:
                tensor = read_npy(data)
            except NotNpy as error:
                raise invalid(str(error), at=("data",)) from None
        elif takes_bytes and allowed:
            tensor = Tensor("u8", [len(data)], memoryview(data))
        elif not allowed:
            raise invalid(f"needs type: the model does not say what {wanted} takes")
        else:
            raise invalid(
                f"is a file, and {wanted} takes numbers: give them as values, or as a .npy file (numpy.save) of that "
                "type and shape, prepared as the model expects it",
                at=("data",),
            )
        if allowed and tensor.type not in allowed:
            raise invalid(f"is a file of {tensor.type}, and the model takes {join_words(allowed)}", at=("data",))
        _check_shape(tensor.shape, wanted)
        return {"type": tensor.type, "shape": list(tensor.shape), "data": tensor.elements}


def _split(given: TensorArgument, wanted: InputDefinition) -> list[TensorArgument]:
    """Several values for an input of single values are several tensors."""
    several = len(given["data"]) > 1 and wanted.shape is not None and not wanted.shape
    if several and not given.get("shape") and not any(map(is_list, given["data"])):
        rest = {name: value for name, value in given.items() if name == "type"}
        return [cast(TensorArgument, {**rest, "data": [element]}) for element in given["data"]]
    return [given]


def _allowed_types(part: TensorArgument, wanted: InputDefinition) -> Sequence[TensorType]:
    type_ = part.get("type")
    if type_ is None:
        return wanted.types
    if wanted.types and type_ not in wanted.types:
        raise invalid("is not a type that the model takes", at=("type",), allowed=list(wanted.types))
    return [type_]


def _file_in(data: Sequence[Any]) -> Source | None:
    """The file or the binary data, when that is all there is."""
    if len(data) != 1:
        return None
    element = data[0]
    text = element.lstrip()[:5].lower() if isinstance(element, str) else ""
    if text not in ("file:", "data:") and not is_object(element):
        return None
    members = {name: value for name, value in element.items() if name != "format"} if is_object(element) else element
    return parse_source(members)


def _media_type(element: Any, allowed: Sequence[TensorType]) -> TensorType:
    """Of several allowed types the one that fits the format of the file."""
    media: list[TensorType] = [type_ for type_ in allowed if type_ in MEDIA_TYPES or type_ == "binary"]
    if len(media) > 1:
        try:
            format_ = parse_media(element).format
        except PydanticCustomError:
            return "binary" if "binary" in media else media[0]
        for type_ in media:
            if format_ in FORMATS.get(type_, ()):
                return type_
    return media[0]


def _first_that_fits(part: TensorArgument, allowed: Sequence[TensorType], wanted: InputDefinition) -> Any:
    """The tensor with the first of the types that its elements fit."""
    first_error: PydanticCustomError | None = None
    for type_ in allowed:
        try:
            data = _listed(part["data"], type_)
            shape = _shape(part, data, type_, wanted)
            checked = check_tensor({"type": type_, "shape": shape, "data": data})
            _check_shape(shape, wanted)
            return checked
        except PydanticCustomError as error:
            first_error = first_error or error
    raise first_error or AssertionError("there is a type")


def _listed(data: list[Any], type_: TensorType) -> list[Any]:
    """The elements of a list that was written as a string, unless that is the string that is meant."""
    if type_ == "string" or len(data) != 1 or not isinstance(data[0], str):
        return data
    listed = parse_if_json(data[0])
    return listed if is_list(listed) else data


def _shape(part: TensorArgument, data: list[Any], type_: TensorType, wanted: InputDefinition) -> list[int]:
    given = part.get("shape")
    filled_in_by_rote = given == [] and (len(data) != 1 or wanted.shape not in (None, []))
    if given is not None and not filled_in_by_rote:
        return given
    if any(map(is_list, data)):
        return _nested_shape(data)
    if wanted.shape is not None:
        return _fitted(wanted.shape, len(data))
    if len(data) == 1 and (type_ in MEDIA_TYPES or type_ == "binary"):
        return []
    raise invalid(f"needs shape: the model does not say what {wanted} takes")


def _nested_shape(data: Any) -> list[int]:
    shape: list[int] = []
    while is_list(data):
        shape.append(len(data))
        data = data[0] if data else None
    return shape


def _fitted(dimensions: Sequence[int], count: int) -> list[int]:
    """The dimensions with the open ones filled in, for so many elements."""
    fixed = math.prod(n for n in dimensions if n >= 0)
    open_ = sum(n < 0 for n in dimensions)
    rest = count // fixed if fixed else 0
    if rest * fixed != count or (not open_ and rest != 1 and fixed):
        raise invalid(f"has {count} elements, which do not fill the model's shape {list(dimensions)}", at=("data",))
    if open_ > 1 and rest != 1:
        raise invalid(f"needs shape: {count} elements can fill {list(dimensions)} in several ways")
    return [rest if n < 0 else n for n in dimensions]


def _check_shape(shape: Sequence[int], wanted: InputDefinition) -> None:
    if wanted.shape is None:
        return
    fits = len(shape) == len(wanted.shape) and all(
        allowed in (-1, given) for given, allowed in zip(shape, wanted.shape, strict=True)
    )
    if not fits:
        raise invalid(f"has the shape {list(shape)}, and the model takes {list(wanted.shape)} (-1 is any length)")


def read_labels(arguments: EvaluateArguments, services: Services) -> list[str]:
    """The labels that the caller gave: as they are, or one in each line of a file.

    Raises:
        InvalidArguments, FileError
    """
    labels = arguments.get("labels", [])
    if len(labels) != 1 or not labels[0].startswith("file:"):
        return labels
    file = services.files.open(labels[0].removeprefix("file:"))
    try:
        if file.size > _MAX_LABEL_BYTES:
            raise ValueError
        with file.reader() as read_at:
            return read_at(0, file.size).decode("utf-8-sig").splitlines()
    except ValueError:
        problem = invalid("is not a text file with a label in each line, in UTF-8, of at most 1 MiB")
        raise invalid_arguments([problem_of(problem, ("labels",))], 1) from None


def _content(source: Source, services: Services) -> bytes:
    if isinstance(source, bytes):
        return source
    file = services.files.open(source.path)
    if file.size > _MAX_ARRAY_BYTES:
        limit = _MAX_ARRAY_BYTES >> 20
        raise invalid(f"is a file of {file.size} bytes; at most {limit} MiB can become one tensor", at=("data",))
    with file.reader() as read_at:
        return read_at(0, file.size)
