"""evaluate_model: the handler, from checked arguments to the result."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

import anyio.to_thread

from ..arguments.schema import list_of, object_of, string
from ..arguments.validation import invalid, invalid_arguments, problem_of
from ..calls.call import Call
from ..calls.tool import DecthingsTool
from ..decthings import ApiError, types
from ..decthings.evaluations import EvaluationResult, Output
from ..results.errors import ModelNotReady
from ..results.text import objects_in, sanitize, sanitize_json
from ..results.tool_result import EVALUATES, Success, output_schema
from .arguments import PUBLISHED_SCHEMA, READER, CheckedArguments, EvaluateArguments
from .comparison import FileToCompare
from .definitions import InputDefinition, definitions_of
from .evaluation import Evaluator
from .failures import explain_failure
from .inputs import InputReader, read_labels
from .made_inputs import HOW, make_inputs
from .summary import Summary, summarize

_MAX_FILES_SHOWN = 8


async def evaluate_model(arguments: EvaluateArguments, call: Call) -> Success:
    evaluator = Evaluator(call, arguments["modelId"], monotonic())
    evaluation_id = arguments.get("evaluationId")
    if evaluation_id is not None and arguments.get("cancel"):
        await evaluator.cancel(evaluation_id)
        fields = {"state": "cancelled", "evaluationId": sanitize(evaluation_id, 200)}
        return Success("The evaluation was cancelled.", fields, "Tell the user.", outcome="cancelled")
    presenter = _Presenter(call, await anyio.to_thread.run_sync(read_labels, arguments, call.services))
    if "compareWithFile" in arguments or evaluation_id is None:
        request = await _request(arguments, call, presenter)
        await presenter.run_file(request["params"], evaluator.seconds_left)
        evaluation = await (evaluator.evaluate(request) if evaluation_id is None else evaluator.wait(evaluation_id))
    else:
        evaluation = await evaluator.wait(evaluation_id)
    if evaluation.result is None:
        return _running(evaluation.id)
    return await presenter.result(evaluation.result, evaluation.id)


async def _request(arguments: EvaluateArguments, call: Call, presenter: _Presenter) -> types.EvaluateParams:
    """The request, with everything checked against what the model takes; nothing is sent yet.

    Raises:
        InvalidArguments, FileError, ModelNotReady
        ApiError: model_not_found, snapshot_not_found.
    """
    if "compareWithFile" in arguments:
        presenter.file = await anyio.to_thread.run_sync(FileToCompare.open, arguments["compareWithFile"], call.services)
    definitions = await _definitions(arguments, call) or (presenter.file.definitions if presenter.file else [])
    if "params" in arguments:
        reader = InputReader(definitions, call.services)
        params = await anyio.to_thread.run_sync(reader.providers, arguments["params"])
    elif presenter.file is not None:
        params = await anyio.to_thread.run_sync(make_inputs, definitions)
        presenter.inputs = HOW
    else:
        raise _params_missing(definitions)
    request: types.EvaluateParams = {"modelId": arguments["modelId"], "params": params}
    return {**request, "snapshotId": arguments["snapshotId"]} if "snapshotId" in arguments else request


def _params_missing(definitions: Sequence[InputDefinition]) -> Exception:
    takes = ", ".join(map(str, definitions)) or "inputs that it does not define: name, type, shape and data are needed"
    return invalid_arguments([problem_of(invalid(f"is missing; the model takes {takes}"), ("params",))], 1)


async def _definitions(arguments: EvaluateArguments, call: Call) -> list[InputDefinition]:
    """What the model, or its snapshot, takes by its parameter definitions."""
    models = await call.read(lambda client: client.get_models({"filter": {"ids": [arguments["modelId"]]}}))
    model = next((model for model in models["models"] if model.get("id") == arguments["modelId"]), None)
    if model is None:
        raise ApiError("model_not_found", {})
    if "snapshotId" in arguments:
        snapshots = objects_in(model.get("snapshots"))
        snapshot = next((one for one in snapshots if one.get("id") == arguments["snapshotId"]), None)
        if snapshot is None:
            raise ApiError("snapshot_not_found", {})
        return definitions_of(snapshot)
    if model.get("beingCreated") is True:
        raise ModelNotReady
    return definitions_of(model)


def _running(evaluation_id: str | None) -> Success:
    id_ = sanitize(evaluation_id or "", 200)
    return Success(
        "The evaluation goes on at Decthings.",
        {"state": "running", "evaluationId": id_},
        "Call evaluate_model again with the same modelId and this evaluationId for its result, which Decthings keeps "
        "for a few minutes; with cancel true it ends. Leaving evaluationId out would run the model again.",
        outcome="running",
    )


@dataclass
class _Presenter:
    """Makes the result of an evaluation that has ended, with the comparison if one was asked for."""

    call: Call
    labels: Sequence[str]
    file: FileToCompare | None = None
    inputs: str = ""
    """How they were made, if they were not given."""
    _expected: Sequence[Output] = ()

    async def run_file(self, params: Sequence[types.ParameterProvider], seconds: float) -> None:
        """Run the file first: it costs nothing, and finds inputs that do not fit."""
        if self.file is not None:
            self._expected = await self.file.run(params, self.call.services, seconds)

    async def result(self, result: EvaluationResult, evaluation_id: str | None) -> Success:
        comparison = await self._comparison(result)
        common = {
            **({"evaluationId": sanitize(evaluation_id, 200)} if evaluation_id else {}),
            "durationsMs": _durations(result),
        }
        if not result.succeeded:
            failure, next_step = explain_failure(result.details)
            also = {"comparison": comparison} if comparison else {}
            fields = {"state": "failed", "failure": failure, **also, **common}
            ran = f" {comparison['file']} ran on this machine with the same inputs." if comparison else ""
            untrusted = ["failure.exceptionDetails"] if "exceptionDetails" in failure else []
            return Success(failure["message"] + ran, fields, next_step, outcome="failed", untrusted=untrusted)
        summary = await anyio.to_thread.run_sync(summarize, result.outputs, self.labels)
        saved = await anyio.to_thread.run_sync(self._save, summary)
        fields = {"state": "finished", "outputs": summary.outputs, **saved}
        if self.labels and not summary.labels_fit:
            fields["labelsNotUsed"] = f"no output has {len(self.labels)} scores"
        fields |= {**({"comparison": comparison} if comparison else {}), **common}
        count = len(result.outputs)
        headline = f"The model gave {count} output{'' if count == 1 else 's'}.{_compared(comparison)}"
        next_step = self._next_step(summary, saved, comparison)
        return Success(headline, fields, next_step, untrusted=("outputs",), media=summary.media)

    async def _comparison(self, result: EvaluationResult) -> dict[str, Any]:
        if self.file is None:
            return {}
        outputs = result.outputs if result.succeeded else None
        fields = await self.file.compared(outputs, self._expected)
        return {**fields, **({"inputs": self.inputs} if self.inputs else {})}

    def _save(self, summary: Summary) -> dict[str, Any]:
        folder = self.call.services.outputs
        if folder is None or not summary.abridged:
            return {}
        try:
            files = folder.save(summary.abridged)
        except OSError as error:
            return {"notSaved": os.strerror(error.errno or 0)}
        more = {"moreSavedFiles": len(files) - _MAX_FILES_SHOWN} if len(files) > _MAX_FILES_SHOWN else {}
        return {"savedFiles": files[:_MAX_FILES_SHOWN], **more}

    def _next_step(self, summary: Summary, saved: dict[str, Any], comparison: dict[str, Any]) -> str:
        steps = ["Show the user the outputs."]
        if summary.abridged and not saved:
            steps.append(
                "They are summed up; all of them are written to files if the user restarts the server with --outputs "
                "FOLDER and evaluates again."
            )
        if "notSaved" in saved:
            steps.append(
                "Large ones could not be written to the folder of --outputs; notSaved says why. Tell the user."
            )
        if comparison and not comparison["same"]:
            steps.append(
                "Tell the user that they differ from those of the file: it may not be the file that was uploaded."
            )
        return " ".join(steps)


def _compared(comparison: dict[str, Any]) -> str:
    if not comparison:
        return ""
    if comparison["same"]:
        largest = f", largest difference {comparison['largestDifference']}" if "largestDifference" in comparison else ""
        return f" They are the same as {comparison['file']} gives on this machine{largest}."
    return f" They differ from what {comparison['file']} gives on this machine."


def _durations(result: EvaluationResult) -> dict[str, Any]:
    """As Decthings reports them, in milliseconds by all appearance."""
    details = sanitize_json(result.details.get("durations"), items=10, text=100)
    total = sanitize_json(result.details.get("totalDuration"), text=100)
    return {"total": total, **(details if isinstance(details, dict) else {})}


EVALUATE_MODEL = DecthingsTool(
    handler=evaluate_model,
    title="Evaluate a Decthings model",
    description="Run a model on inputs and return its outputs. It spends the user's compute: only when they want it. "
    "compareWithFile compares with the outputs of that file on this machine; inputs are made if params is left out. "
    "evaluationId gets the result of one that is still running, or cancels it.",
    reader=READER,
    published_schema=PUBLISHED_SCHEMA,
    arguments=CheckedArguments,
    output_schema=output_schema(state=string(), outputs=list_of(object_of({}))),
    # It changes nothing, but a client that runs read-only tools unasked would spend the user's compute.
    effect=EVALUATES,
)
