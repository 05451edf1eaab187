"""wait_for_model: until a model's initial state is made, or for a while."""

from __future__ import annotations

from time import monotonic
from typing import Annotated, Any, NotRequired

import anyio
from annotated_types import Ge, Le
from mcp.server.mcpserver import Context
from mcp_types import CallToolResult
from pydantic import with_config

# pydantic needs this TypedDict rather than typing's on Python 3.11.
from typing_extensions import TypedDict

from .arguments.reader import Reader
from .arguments.schema import described, object_of, text
from .calls.progress import Progress
from .calls.services import services_of
from .calls.time_limits import FINAL_CHECK_SHARE, WAIT_SHARE
from .calls.tool import DecthingsTool
from .decthings import ApiError, DecthingsClient, DecthingsError, InvalidResponse, types
from .results.creation_failures import explain_failure
from .results.text import sanitize_json
from .results.tool_result import READS, output_schema, success

MAX_SECONDS = 45
_DEFAULT_SECONDS = 30

_LEAST_SECONDS = 0.5
"""In which Decthings can at least say that there is nothing to wait for."""

_SAID = {
    "ready": ("The model is ready.", "The model is ready. Tell the person; find_models shows it."),
    "creating": (
        "The model is still being created.",
        "The model is still being created. Call wait_for_model again with the same modelId.",
    ),
}


@with_config(types.STRICT)
class WaitArguments(TypedDict):
    modelId: str
    timeoutSeconds: NotRequired[Annotated[float, Ge(0), Le(MAX_SECONDS)]]


async def wait_for_model(arguments: WaitArguments, ignored: list[str], context: Context[Any, Any]) -> CallToolResult:
    client, model_id = services_of(context).connected(), arguments["modelId"]
    allowed = services_of(context).call_seconds
    wanted = max(arguments.get("timeoutSeconds", _DEFAULT_SECONDS), _LEAST_SECONDS)
    seconds = min(wanted, allowed * WAIT_SHARE)
    begun = monotonic()
    outcome = await _wait(client, model_id, seconds, Progress(context))
    if isinstance(outcome, ApiError) and outcome.code == "model_already_created":
        return _result("ready", begun)
    if outcome is None or _is_time_out(outcome):
        return _result(
            "creating" if await _is_being_created(client, model_id, allowed * FINAL_CHECK_SHARE) else "ready", begun
        )
    if isinstance(outcome, DecthingsError):
        raise outcome
    return _ended(outcome, begun)


async def _wait(
    client: DecthingsClient, model_id: str, seconds: float, progress: Progress
) -> dict[str, Any] | DecthingsError | None:
    """What Decthings says, or nothing when the time is over. Errors are returned: a task group would wrap them."""
    outcome: dict[str, Any] | DecthingsError | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_report_elapsed, seconds, progress)
        with anyio.move_on_after(seconds):
            try:
                outcome = await client.wait_for_model_to_be_created(model_id, timeout=seconds + 5)
            except DecthingsError as error:
                outcome = error
        tasks.cancel_scope.cancel()
    return outcome


def _is_time_out(outcome: dict[str, Any] | DecthingsError) -> bool:
    """Of a proxy in between, which does not wait as long as we do."""
    return isinstance(outcome, InvalidResponse) and outcome.status in (408, 504)


async def _is_being_created(client: DecthingsClient, model_id: str, seconds: float) -> bool:
    """
    Raises:
        ApiError: model_not_found.
    """
    with anyio.fail_after(seconds):
        models = (await client.get_models({"filter": {"ids": [model_id]}}))["models"]
    if not models:
        raise ApiError("model_not_found", {})
    return models[0].get("beingCreated") is True


async def _report_elapsed(seconds: float, progress: Progress) -> None:
    begun = monotonic()
    while True:
        waited = monotonic() - begun
        await progress(round(waited, 1), seconds, f"Waiting for the model for {waited:.0f} s.")
        await anyio.sleep(1)


def _result(state: str, begun: float, **more: Any) -> CallToolResult:
    headline, next_step = _SAID[state]
    waited = round(monotonic() - begun, 1)
    return success({"state": state, "waitedSeconds": waited, **more, "nextStep": next_step}, headline)


def _ended(result: dict[str, Any], begun: float) -> CallToolResult:
    if "createModelSuccess" in result:
        return _result("ready", begun, durations=sanitize_json(result["createModelSuccess"]))
    failure, next_step = explain_failure(result["createModelFailed"])
    waited = round(monotonic() - begun, 1)
    answer = {"state": "failed", "waitedSeconds": waited, "failure": failure, "nextStep": next_step}
    return success(answer, failure["message"])


WAIT_FOR_MODEL = DecthingsTool.define(
    wait_for_model,
    reader=Reader(
        object_of(
            {
                "modelId": text(),
                "timeoutSeconds": described("number", f"0 to {MAX_SECONDS}, default {_DEFAULT_SECONDS}."),
            },
            ("modelId",),
        )
    ),
    takes=WaitArguments,
    effect=READS,
    title="Wait for a Decthings model",
    description="Wait until a model that is being created (isNowCreating) is ready or has failed. Answers with state: "
    "ready, creating (call again) or failed (why, and what to change).",
    output_schema=output_schema(state=text(enum=("ready", "creating", "failed")), failure=object_of({})),
)
