"""From the files, base64 and tensors in the arguments of create_model to the blobs and tensors of a request."""

from __future__ import annotations

from typing import Any, cast

import anyio.to_thread

from ..arguments.binary_data import FilePath, MediaSource, Source
from ..arguments.tensors import TensorFields
from ..calls.services import Services
from ..decthings import Blob, Media, Tensor
from ..decthings.blobs import size_of
from ..decthings.tensors import MEDIA_TYPES
from ..files.formats import check_model_file
from ..files.upload import FileBlob, reader_of
from .arguments import ProviderArgument


class RequestBuilder:
    """Resolves what arguments name. `uploads` are the blobs of an upload, by name."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.uploads: dict[str, Blob] = {}

    async def resolve_options(self, options: Any) -> Any:
        """The options with blobs and tensors in place of what names them; files are opened in a thread."""
        if options["type"] not in ("upload", "basedOnModelSnapshot"):
            return options
        return await anyio.to_thread.run_sync(self._resolve, options)

    def _resolve(self, options: Any) -> Any:
        if options["type"] == "upload":
            return {**options, "data": self._model_file(options["format"], options["data"])}
        return {**options, "initialState": self._state(options["initialState"])}

    def _model_file(self, format_: str, source: Source) -> Blob:
        blob = self.uploads["data"] = self._blob(source)
        if self._services.check_uploads:
            with reader_of(cast(FileBlob | bytes, blob)) as read_at:
                check_model_file(format_, size_of(blob), read_at)
        return blob

    def _state(self, state: Any) -> Any:
        if state["method"] == "create":
            return {**state, "params": [self.provider(provider) for provider in state["params"]]}
        if state["method"] == "upload":
            self.uploads = {file["key"]: self._blob(file["data"]) for file in state["data"]}
            return {**state, "data": [{"key": key, "data": blob} for key, blob in self.uploads.items()]}
        return state

    def provider(self, provider: ProviderArgument) -> Any:
        """The provider with tensors for a request."""
        if provider["data"]["type"] == "dataset":
            return provider
        tensors = [self._tensor(tensor) for tensor in provider["data"]["data"]]
        return {**provider, "data": {"type": "data", "data": tensors}}

    def _tensor(self, tensor: TensorFields) -> Tensor:
        type_, elements = tensor["type"], tensor["data"]
        if type_ == "binary" or type_ in MEDIA_TYPES:  # the others name no files
            elements = [self._element(element) for element in elements]
        return Tensor(type_, tensor["shape"], elements)

    def _element(self, element: Any) -> Any:
        if isinstance(element, FilePath):
            return self._blob(element)
        return Media(element.format, self._blob(element.data)) if isinstance(element, MediaSource) else element

    def _blob(self, source: Source) -> Blob:
        return source if isinstance(source, bytes) else self._services.files.open(source.path)
