"""wait_for_model: until a model's initial state is made, or for a while."""

from __future__ import annotations

from time import monotonic
from typing import Annotated, Any, NotRequired

import anyio
from annotated_types import Ge, Le
from mcp.server.mcpserver import Context
from mcp_types import CallToolResult
from pydantic import TypeAdapter, with_config

# pydantic needs this TypedDict rather than typing's on Python 3.11.
from typing_extensions import TypedDict

from .answers import READS, output_schema, success
from .backend import backend_of
from .creation_failures import explain_failure
from .decthings import ApiError, DecthingsClient, DecthingsError, NoResponse, types
from .progress import Progress
from .reading import Reader
from .schema_nodes import described, object_of, text
from .text import harmless_json
from .tool import DecthingsTool

MAX_SECONDS = 45
_DEFAULT_SECONDS = 40

_READY = "The model is ready. Tell the person; find_models shows it."
_CREATING = "The model is still being created. Call wait_for_model again with the same modelId."


@with_config(types.STRICT)
class WaitArguments(TypedDict):
    modelId: str
    timeoutSeconds: NotRequired[Annotated[float, Ge(0), Le(MAX_SECONDS)]]


async def wait_for_model(arguments: WaitArguments, ignored: list[str], context: Context[Any, Any]) -> CallToolResult:
    seconds = arguments.get("timeoutSeconds", _DEFAULT_SECONDS)
    client = backend_of(context).connected()
    begun = monotonic()
    outcome = await _wait(client, arguments["modelId"], seconds, Progress(context))
    waited = round(monotonic() - begun, 1)
    if isinstance(outcome, ApiError) and outcome.code == "model_already_created":
        return success({"state": "ready", "waitedSeconds": waited, "nextStep": _READY}, "The model is ready.")
    if outcome is None or isinstance(outcome, NoResponse):
        answer = {"state": "creating", "waitedSeconds": waited, "nextStep": _CREATING}
        return success(answer, "The model is still being created.")
    if isinstance(outcome, DecthingsError):
        raise outcome
    return _ended(outcome, waited)


async def _wait(
    client: DecthingsClient, model_id: str, seconds: float, progress: Progress
) -> dict[str, Any] | DecthingsError | None:
    """What Decthings says, or nothing when the time is over. Errors are returned: a task group would wrap them."""
    outcome: dict[str, Any] | DecthingsError | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_tell_seconds, seconds, progress)
        with anyio.move_on_after(seconds):
            try:
                outcome = await client.wait_for_model_to_be_created(model_id, timeout=seconds + 5)
            except DecthingsError as error:
                outcome = error
        tasks.cancel_scope.cancel()
    return outcome


async def _tell_seconds(seconds: float, progress: Progress) -> None:
    begun = monotonic()
    while True:
        waited = monotonic() - begun
        await progress(round(waited, 1), seconds, f"Waiting for the model for {waited:.0f} s.")
        await anyio.sleep(1)


def _ended(result: dict[str, Any], waited: float) -> CallToolResult:
    if "createModelSuccess" in result:
        details = harmless_json(result["createModelSuccess"])
        answer = {"state": "ready", "waitedSeconds": waited, "durations": details, "nextStep": _READY}
        return success(answer, "The model is ready.")
    failure, sentence, next_step = explain_failure(result["createModelFailed"])
    answer = {"state": "failed", "waitedSeconds": waited, "failure": failure, "nextStep": next_step}
    return success(answer, f"The creation of the model failed: {sentence}")


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
    adapter=TypeAdapter(WaitArguments),
    effect=READS,
    title="Wait for a Decthings model",
    description="Wait until a model that is being created (isNowCreating) is ready or has failed. Answers with state: "
    "ready, creating (call again) or failed (why, and what to change).",
    output_schema=output_schema(state=text(enum=("ready", "creating", "failed")), failure=object_of({})),
)
