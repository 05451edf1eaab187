"""delete_model: final, so only with the model's name as proof that the right one is meant."""

from __future__ import annotations

from typing import Any

from typing_extensions import TypedDict

from .arguments.reader import Reader
from .arguments.schema import object_of, string
from .calls.call import Call
from .calls.confirmation import can_ask
from .calls.models import get_writable_model
from .calls.outcomes import OutcomeLookup
from .calls.tool import DecthingsTool
from .decthings import types
from .results.errors import NameMismatch
from .results.text import iso_time, objects_in, sanitize, short_text, single_line
from .results.tool_result import CHANGES, Success, output_schema


@types.strict
class DeleteArguments(TypedDict):
    modelId: str
    confirmName: str


async def _question(arguments: DeleteArguments, call: Call) -> str:
    model = await _named_model(arguments, call)
    states, snapshots = (len(objects_in(model.get(field))) for field in ("states", "snapshots"))
    name, created = single_line(short_text(model.get("name"))), iso_time(model.get("createdAt"))
    return (
        f'Delete the model "{name}", created {created or "at an unknown time"}? Its states ({states}) and '
        f"snapshots ({snapshots}) go with it. This is final."
    )


async def _named_model(arguments: DeleteArguments, call: Call) -> dict[str, Any]:
    """The model as it is now.

    Raises:
        ApiError: model_not_found, access_denied.
        NameMismatch: it has another name than the one that was given.
    """
    model = await get_writable_model(arguments["modelId"], call)
    # The name as find_models shows it is as good: the id already identifies the model.
    if arguments["confirmName"] not in (model.get("name"), short_text(model.get("name"))):
        raise NameMismatch
    return model


async def delete_model(arguments: DeleteArguments, call: Call) -> Success:
    model_id = arguments["modelId"]
    if can_ask(call.context):
        await _named_model(arguments, call)  # time has passed since the question
    await call.write(
        lambda client, sending: client.delete_model(model_id, sending),
        lambda lookup: _verify_deleted(lookup, model_id),
        may_repeat=True,
    )
    headline = f'Deleted the model "{sanitize(arguments["confirmName"], 100)}" for good.'
    return Success(headline, {"result": {"deleted": model_id}}, "Tell the user. This cannot be undone.")


async def _verify_deleted(lookup: OutcomeLookup, model_id: str) -> None:
    """Whether the model is gone.

    Raises:
        LostResponse: it is still there.
    """
    async for models in lookup.models({"ids": [model_id]}):
        if all(model.get("id") != model_id for model in models):
            return
    next_step = "Make the same call again. If the error is model_not_found, the model is gone."
    raise lookup.unknown("The model is still listed.", next_step, may_repeat=True)


DELETE_MODEL = DecthingsTool(
    handler=delete_model,
    title="Delete a Decthings model",
    description="Delete a model for good, with its states and snapshots, only when the user asked for it. A creation "
    "in progress is cancelled.",
    reader=Reader(
        object_of(
            {
                "modelId": string("From find_models."),
                "confirmName": string(
                    "The model's name as the user gave it. Where find_models shows another one, ask the user first."
                ),
            },
            ("modelId", "confirmName"),
        )
    ),
    arguments=DeleteArguments,
    output_schema=output_schema(result=object_of({"deleted": string()})),
    effect=CHANGES,
    question=_question,
    destructive=True,
    idempotent=True,
)
