"""wait_for_model: until a model's initial state is made, or for a while."""

from __future__ import annotations

from time import monotonic
from typing import Annotated, Any, NotRequired

import anyio
from annotated_types import Ge
from typing_extensions import TypedDict

from .arguments.reader import Reader
from .arguments.schema import described, object_of, string
from .calls.call import Call
from .calls.time_limits import FINAL_CHECK_SHARE, MAX_CALL_SECONDS, WAIT_SHARE
from .calls.tool import DecthingsTool
from .decthings import ApiError, DecthingsClient, InvalidResponse, types
from .results.creation_failures import explain_failure
from .results.errors import CallTimeout
from .results.text import sanitize_json
from .results.tool_result import READS, Success, output_schema

_MAX_SECONDS = int(MAX_CALL_SECONDS * WAIT_SHARE)
_DEFAULT_SECONDS = 30

_MIN_SECONDS = 0.5
"""In which Decthings can at least say that there is nothing to wait for."""

_PROXY_TIMEOUTS = (408, 504)
"""HTTP statuses of a proxy in between, which does not wait as long as we do."""

_HEADLINES = {"ready": "The model is ready.", "creating": "The model is still being created."}
_NEXT_STEPS = {
    "ready": "Tell the user that it can be used; find_models shows it.",
    "creating": "Call wait_for_model again with the same modelId.",
}


@types.strict
class WaitArguments(TypedDict):
    modelId: str
    timeoutSeconds: NotRequired[Annotated[float, Ge(0)]]


async def wait_for_model(arguments: WaitArguments, call: Call) -> Success:
    client, model_id, started = await call.client(), arguments["modelId"], monotonic()
    wanted = max(arguments.get("timeoutSeconds", _DEFAULT_SECONDS), _MIN_SECONDS)
    seconds = min(wanted, call.services.call_seconds * WAIT_SHARE)
    ended = await _wait(call, client, model_id, seconds)
    if ended is None:
        check_seconds = call.services.call_seconds * FINAL_CHECK_SHARE
        with anyio.fail_after(check_seconds):
            if await _is_being_created(client, model_id):
                return _success("creating", started)
            ended = await _wait(
                call, client, model_id, check_seconds
            )  # a model that failed is not being created either
    if ended is None:
        raise CallTimeout(may_have_acted=False)
    if "createModelFailed" in ended:
        failure, next_step = explain_failure(ended["createModelFailed"])
        fields = {"state": "failed", "waitedSeconds": _seconds_since(started), "failure": failure}
        untrusted = ["failure.exceptionDetails"] if "exceptionDetails" in failure else []
        return Success(failure["message"], fields, next_step, untrusted=untrusted)
    durations = ended["createModelSuccess"]
    return _success("ready", started, **({} if durations is None else {"durations": sanitize_json(durations)}))


async def _wait(call: Call, client: DecthingsClient, model_id: str, seconds: float) -> dict[str, Any] | None:
    """How the creation ended, in the form of waitForModelToBeCreated; None when that is not known in time."""
    try:
        return await call.progress.while_waiting(
            seconds, lambda: client.wait_for_model_to_be_created(model_id, timeout=seconds + 5)
        )
    except ApiError as error:
        if error.code != "model_already_created":
            raise
        return {"createModelSuccess": None}
    except InvalidResponse as error:
        if error.status not in _PROXY_TIMEOUTS:
            raise
        return None


async def _is_being_created(client: DecthingsClient, model_id: str) -> bool:
    """Whether Decthings lists the model as being created.

    Raises:
        ApiError: model_not_found.
    """
    models = (await client.get_models({"filter": {"ids": [model_id]}}))["models"]
    if not models:
        raise ApiError("model_not_found", {})
    return models[0].get("beingCreated") is True


def _success(state: str, started: float, **more: Any) -> Success:
    fields = {"state": state, "waitedSeconds": _seconds_since(started), **more}
    return Success(_HEADLINES[state], fields, _NEXT_STEPS[state])


def _seconds_since(started: float) -> float:
    return round(monotonic() - started, 1)


WAIT_FOR_MODEL = DecthingsTool(
    handler=wait_for_model,
    title="Wait for a Decthings model",
    description="Wait until a model that is being created (isNowCreating) is ready or has failed. Returns state: "
    "ready, creating (call again) or failed (why, and what to change).",
    reader=Reader(
        object_of(
            {
                "modelId": string("From create_model or find_models."),
                "timeoutSeconds": described(
                    "number", f"0 to {_MAX_SECONDS}, default {_DEFAULT_SECONDS}.", minimum=0, maximum=_MAX_SECONDS
                ),
            },
            ("modelId",),
        )
    ),
    arguments=WaitArguments,
    output_schema=output_schema(state=string(enum=("ready", "creating", "failed")), failure=object_of({})),
    effect=READS,
)
