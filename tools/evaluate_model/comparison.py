"""The file that a model was made from: run on this machine with the same inputs, for a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, cast

import anyio.to_thread

from ..arguments.validation import invalid, invalid_arguments, problem_of
from ..calls.services import Services
from ..decthings import types
from ..decthings.evaluations import Output
from ..decthings.types import ModelFormat
from ..files.formats import check_model_file
from ..files.structure import ModelStructure
from ..files.upload import FileBlob
from ..inspect_model_file import read_structure
from ..local_run.runner import EXTRA, LocalRunFailed, RuntimeMissing, run_model
from ..results.errors import FileDidNotRun, RunnerMissing
from ..results.text import sanitize
from .definitions import InputDefinition, definitions_in
from .parity import compare, in_memory

_MAX_SECONDS = 20.0
_MODULES = {"onnx": ("onnxruntime", "onnxruntime"), "tflite": ("ai_edge_litert", "ai-edge-litert")}
"""By format: the module that runs it, and the package that has it."""
_MAX_TEXT = 2_000
_SENTENCES = {
    "max_duration_exceeded": "it took too long",
    "code_terminated": "its process ended",
    "invalid_executable_file": "it cannot be loaded",
    "invalid_output": "its outputs cannot be read",
}


@dataclass
class FileToCompare:
    """An ONNX or TFLite file that can be run here."""

    file: FileBlob
    structure: ModelStructure

    @classmethod
    def open(cls, path: str, services: Services) -> FileToCompare:
        """Open the file and read what it takes; it blocks.

        Raises:
            FileError: it cannot be opened, or is no model file.
            RunnerMissing: the package that runs it is not installed.
        """
        file = services.files.open(path)
        structure = read_structure(file)
        with file.reader() as read_at:
            check_model_file(structure.format, file.size, read_at)
        module, package = _MODULES[structure.format]
        if find_spec(module) is None:
            raise RunnerMissing(package, EXTRA)
        return cls(file, structure)

    @property
    def definitions(self) -> list[InputDefinition]:
        return definitions_in(self.structure)

    async def run(
        self, params: Sequence[types.ParameterProvider], services: Services, seconds: float
    ) -> Sequence[Output]:
        """The outputs of the file for the same inputs.

        Raises:
            InvalidArguments: an input is a dataset, which is not on this machine.
            FileDidNotRun
        """
        inputs = [await _input(provider, index) for index, provider in enumerate(params)]
        format_ = cast(ModelFormat, self.structure.format)
        try:
            async with services.local_runs:
                return await run_model(format_, self.file, inputs, min(seconds / 2, _MAX_SECONDS))
        except RuntimeMissing as error:
            raise RunnerMissing(error.package, EXTRA) from error
        except LocalRunFailed as error:
            oom = "it needs too much memory" if error.oom else None
            sentence = oom or _SENTENCES.get(error.code, "it raised an exception")
            raise FileDidNotRun(self.file.name, sentence, sanitize(str(error), _MAX_TEXT)) from error

    async def compared(self, decthings: Sequence[Output] | None, expected: Sequence[Output]) -> dict[str, Any]:
        """The fields of the comparison; without outputs of Decthings only what file ran."""
        fields = {"file": self.file.name, "sha256": self.file.sha256}
        if decthings is None:
            return fields
        return {**await anyio.to_thread.run_sync(compare, decthings, expected), **fields}


async def _input(provider: types.ParameterProvider, index: int) -> Output:
    if provider["data"]["type"] == "dataset":
        problem = invalid("is a dataset, which is not on this machine: compareWithFile needs the data itself")
        raise invalid_arguments([problem_of(problem, ("params", index))], 1)
    return Output(provider["name"], [await in_memory(tensor) for tensor in provider["data"]["data"]])
