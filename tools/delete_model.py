"""delete_model: for good, and only with the model's name as proof that the right one is meant."""

from __future__ import annotations

from typing import Annotated, Any

from mcp.server.mcpserver import Context, ElicitationResult, Resolve
from mcp_types import CallToolResult
from pydantic import with_config

# pydantic needs this TypedDict rather than typing's on Python 3.11.
from typing_extensions import TypedDict

from .arguments.reader import Reader
from .arguments.schema import object_of, text
from .calls.confirmation import Confirmed, Question, ask, can_ask, require
from .calls.models import model_of
from .calls.outcomes import LookUp, confirmation, settled
from .calls.progress import Progress
from .calls.services import backend_of
from .calls.tool import DecthingsTool
from .decthings import types
from .results.errors import NameDiffers
from .results.text import harmless, in_a_line, iso_time, label, objects
from .results.tool_result import CHANGES, output_schema, success


@with_config(types.STRICT)
class DeleteArguments(TypedDict):
    modelId: str
    confirmName: str


async def _ask_to_delete(arguments: Any, context: Context[Any, Any]) -> Question:
    model = await _named_model(arguments, context)
    states, snapshots = (len(objects(model.get(member))) for member in ("states", "snapshots"))
    name, created = in_a_line(label(model.get("name"))), iso_time(model.get("createdAt"))
    return ask(
        f'Delete the model "{name}", created {created or "at an unknown time"}? Its states ({states}) and '
        f"snapshots ({snapshots}) go with it. This is final.",
        context,
    )


async def _named_model(arguments: DeleteArguments, context: Context[Any, Any]) -> dict[str, Any]:
    """The model as it is now.

    Raises:
        ApiError: model_not_found, access_denied.
        NameDiffers: it has another name than the one that was given.
    """
    model = await model_of(arguments["modelId"], context)
    # The name as find_models tells it is as good: the id says already which model is meant.
    if arguments["confirmName"] not in (model.get("name"), label(model.get("name"))):
        raise NameDiffers
    return model


async def delete_model(
    arguments: DeleteArguments,
    ignored: list[str],
    context: Context[Any, Any],
    answer: Annotated[ElicitationResult[Confirmed], Resolve(_ask_to_delete)],
) -> CallToolResult:
    require(answer)
    if can_ask(context):
        await _named_model(arguments, context)  # time has passed since the question
    _, evidence = await settled(
        "delete_model",
        backend_of(context),
        Progress(context),
        lambda client, delivery: client.delete_model(arguments["modelId"], delivery),
        lambda look_up: _find_gone(look_up, arguments["modelId"]),
    )
    told = {
        "result": {"deleted": arguments["modelId"]},
        **({} if evidence is None else {"lookUp": evidence}),
        "nextStep": "Tell the person. It cannot be brought back.",
    }
    name = harmless(arguments["confirmName"], 100)
    return success(told, f'Deleted the model "{name}" for good.{confirmation(evidence)}', "done")


async def _find_gone(look_up: LookUp, model_id: str) -> tuple[None, dict[str, Any]]:
    """
    Raises:
        LookedUp: it is still there.
    """
    async for models in look_up.models({"ids": [model_id]}):
        if all(model.get("id") != model_id for model in models):
            return None, look_up.evidence()
    next_step = "Make the same call again. If it answers model_not_found, the model is gone."
    raise look_up.still_unknown("The model is still listed.", next_step)


DELETE_MODEL = DecthingsTool.define(
    delete_model,
    reader=Reader(
        object_of(
            {"modelId": text(), "confirmName": text("The model's present name, exactly.")}, ("modelId", "confirmName")
        )
    ),
    takes=DeleteArguments,
    effect=CHANGES,
    destructive=True,
    idempotent=True,
    title="Delete a Decthings model",
    description="Delete a model for good, with its states and snapshots. Only when the user asked for it: confirmName "
    "has to be the name they gave. A creation that is under way is cancelled.",
    output_schema=output_schema(result=object_of({"deleted": text()})),
)
