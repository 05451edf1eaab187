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
from .calls.confirmation import Confirmed, Question, ask_if_possible, can_ask, require_consent
from .calls.models import get_writable_model
from .calls.outcomes import OutcomeLookup, recovered_note, write_with_lookup
from .calls.progress import Progress
from .calls.services import services_of
from .calls.tool import DecthingsTool
from .decthings import types
from .results.errors import NameMismatch
from .results.text import iso_time, objects_in, sanitize, short_text, single_line
from .results.tool_result import CHANGES, output_schema, success


@with_config(types.STRICT)
class DeleteArguments(TypedDict):
    modelId: str
    confirmName: str


async def _ask_to_delete(arguments: Any, context: Context[Any, Any]) -> Question:
    model = await _named_model(arguments, context)
    states, snapshots = (len(objects_in(model.get(member))) for member in ("states", "snapshots"))
    name, created = single_line(short_text(model.get("name"))), iso_time(model.get("createdAt"))
    return ask_if_possible(
        f'Delete the model "{name}", created {created or "at an unknown time"}? Its states ({states}) and '
        f"snapshots ({snapshots}) go with it. This is final.",
        context,
    )


async def _named_model(arguments: DeleteArguments, context: Context[Any, Any]) -> dict[str, Any]:
    """The model as it is now.

    Raises:
        ApiError: model_not_found, access_denied.
        NameMismatch: it has another name than the one that was given.
    """
    model = await get_writable_model(arguments["modelId"], context)
    # The name as find_models tells it is as good: the id says already which model is meant.
    if arguments["confirmName"] not in (model.get("name"), short_text(model.get("name"))):
        raise NameMismatch
    return model


async def delete_model(
    arguments: DeleteArguments,
    ignored: list[str],
    context: Context[Any, Any],
    answer: Annotated[ElicitationResult[Confirmed], Resolve(_ask_to_delete)],
) -> CallToolResult:
    require_consent(answer)
    if can_ask(context):
        await _named_model(arguments, context)  # time has passed since the question
    _, evidence = await write_with_lookup(
        "delete_model",
        services_of(context),
        Progress(context),
        lambda client, sending: client.delete_model(arguments["modelId"], sending),
        lambda lookup: _verify_deleted(lookup, arguments["modelId"]),
    )
    told = {
        "result": {"deleted": arguments["modelId"]},
        **({} if evidence is None else {"lookUp": evidence}),
        "nextStep": "Tell the person. It cannot be brought back.",
    }
    name = sanitize(arguments["confirmName"], 100)
    return success(told, f'Deleted the model "{name}" for good.{recovered_note(evidence)}', "done")


async def _verify_deleted(lookup: OutcomeLookup, model_id: str) -> tuple[None, dict[str, Any]]:
    """
    Raises:
        LostResponse: it is still there.
    """
    async for models in lookup.models({"ids": [model_id]}):
        if all(model.get("id") != model_id for model in models):
            return None, lookup.evidence()
    next_step = "Make the same call again. If it answers model_not_found, the model is gone."
    raise lookup.unknown("The model is still listed.", next_step)


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
