"""Evaluations in the sandbox: ONNX and TFLite files are run in a process of their own, on this machine.

They go on when the caller hangs up, and their results are kept for some minutes, as Decthings does. What Decthings
does with several tensors for one parameter is not documented: here the model runs once for each.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from ...tools.decthings import BlobSource
from ...tools.decthings.blobs import Blob
from ...tools.decthings.evaluations import Output
from ...tools.decthings.tensors import encode_tensors
from ...tools.decthings.types import ModelFormat
from ...tools.local_run.runner import LocalRunFailed, RuntimeMissing, run_model
from .errors import ErrorReply

EVALUATE_SECONDS = 60.0
"""How long a model may run."""
_KEPT_MS = 5 * 60_000
_MAX_KEPT = 20

Reply = tuple[dict[str, Any], list[bytes]]
"""A result and its blobs."""


class StoredFile(BlobSource):
    """An uploaded file, read a chunk at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def size(self) -> int:
        return self._path.stat().st_size

    async def chunks(self) -> AsyncIterator[bytes]:
        with self._path.open("rb") as file:
            while chunk := await asyncio.to_thread(file.read, 1 << 20):
                yield chunk


@dataclass(frozen=True)
class Job:
    """What is to be run. Without a `program` it fails: the sandbox cannot run the model, for the reason given."""

    model_id: str
    format: ModelFormat | None
    program: Blob | None
    inputs: Sequence[Output]
    reason: str = ""


@dataclass
class _Evaluation:
    model_id: str
    task: asyncio.Task[Reply]
    id: str = field(default_factory=lambda: str(uuid4()))
    started_at: int = field(default_factory=lambda: _now())
    finished_at: int | None = None


class Evaluations:
    """Those of this process that run, or that ended in the last minutes."""

    def __init__(self) -> None:
        self._known: dict[str, _Evaluation] = {}

    async def evaluate(self, job: Job) -> Reply:
        """The result of `evaluate`; a run that failed is one too."""
        evaluation = _Evaluation(job.model_id, asyncio.create_task(_run(job)))
        self._known[evaluation.id] = evaluation
        evaluation.task.add_done_callback(lambda _: self._finish(evaluation))
        return await _result_of(evaluation)

    def listed(self, model_id: str) -> dict[str, Any]:
        self._forget()
        own = [evaluation for evaluation in self._known.values() if evaluation.model_id == model_id]
        return {
            "running": [{"id": e.id, "startedAt": e.started_at} for e in own if e.finished_at is None],
            "finished": [
                {"id": e.id, "startedAt": e.started_at, "finishedAt": e.finished_at, "success": _succeeded(e)}
                for e in own
                if e.finished_at is not None
            ],
        }

    async def finished(self, model_id: str, evaluation_id: str) -> Reply:
        """The result of an evaluation, once it has ended.

        Raises:
            ErrorReply: evaluation_not_found.
        """
        return await _result_of(self._find(model_id, evaluation_id))

    def cancel(self, model_id: str, evaluation_id: str) -> None:
        self._find(model_id, evaluation_id).task.cancel()

    def _find(self, model_id: str, evaluation_id: str) -> _Evaluation:
        self._forget()
        evaluation = self._known.get(evaluation_id)
        if evaluation is None or evaluation.model_id != model_id:
            raise ErrorReply("evaluation_not_found")
        return evaluation

    def _finish(self, evaluation: _Evaluation) -> None:
        evaluation.finished_at = _now()
        self._forget()

    def _forget(self) -> None:
        ended = [e for e in self._known.values() if e.finished_at is not None]
        for number, evaluation in enumerate(reversed(ended)):
            if number >= _MAX_KEPT or (evaluation.finished_at or 0) < _now() - _KEPT_MS:
                del self._known[evaluation.id]


async def _result_of(evaluation: _Evaluation) -> Reply:
    try:
        # Shielded: a caller that hangs up does not end it.
        return await asyncio.shield(evaluation.task)
    except asyncio.CancelledError:
        if not evaluation.task.cancelled():
            raise
        return _failed(evaluation.started_at, {"code": "cancelled"})


def _succeeded(evaluation: _Evaluation) -> bool:
    return not evaluation.task.cancelled() and "success" in evaluation.task.result()[0]


async def _run(job: Job) -> Reply:
    started = _now()
    if job.program is None or job.format is None:
        return _failed(started, _exception("codeStartup", job.reason))
    try:
        outputs = await run_model(job.format, job.program, job.inputs, EVALUATE_SECONDS)
    except LocalRunFailed as failure:
        return _failed(started, _error(failure))
    except OSError:  # the model was deleted meanwhile
        return _failed(started, {"code": "read_executable_file_failed"})
    blobs = [encode_tensors(output.tensors) for output in outputs]
    details = {**_common(started), "output": [{"name": output.name} for output in outputs]}
    return {"success": details}, [blob for blob in blobs if isinstance(blob, bytes)]


def _error(failure: LocalRunFailed) -> dict[str, Any]:
    """The failure as Decthings has it."""
    match failure:
        case RuntimeMissing():
            return _exception("codeStartup", f"The sandbox runs this format with a package: {failure}.")
        case LocalRunFailed(code="max_duration_exceeded"):
            return {"code": failure.code, "at": "evaluate"}
        case LocalRunFailed(code="code_terminated"):
            return {"code": failure.code, "oom": failure.oom}
        case LocalRunFailed(code="invalid_output"):
            return {"code": failure.code, "reason": "invalid", "details": str(failure)}
        case LocalRunFailed(code="exception"):
            return _exception("evaluate", str(failure))
        case _:
            return {"code": failure.code, "reason": str(failure)}


def _exception(at: str, details: str) -> dict[str, Any]:
    return {"code": "exception", "at": at, "exceptionDetails": details}


def _failed(started: int, error: dict[str, Any]) -> Reply:
    return {"failed": {**_common(started), "error": error}}, []


def _common(started: int) -> dict[str, Any]:
    milliseconds = _now() - started
    return {"totalDuration": milliseconds, "durations": {"evaluate": milliseconds}, "executedOnLauncher": "sandbox"}


def _now() -> int:
    return time.time_ns() // 1_000_000
