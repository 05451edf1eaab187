"""delete_model: for good, and only with the model's name as proof that the right one is meant."""

from __future__ import annotations

from typing import Annotated, Any

from mcp.server.mcpserver import Context, ElicitationResult, Resolve
from mcp_types import CallToolResult
from pydantic import TypeAdapter, with_config

# pydantic needs this TypedDict rather than typing's on Python 3.11.
from typing_extensions import TypedDict

from . import listing
from .answers import CHANGES, output_schema, success
from .confirming import Confirmed, Question, ask, can_ask, in_a_line, require
from .decthings import types
from .errors import NameDiffers
from .reading import Reader
from .repeating import call_decthings
from .schema_nodes import object_of, text
from .text import harmless
from .tool import DecthingsTool


@with_config(types.STRICT)
class DeleteArguments(TypedDict):
    modelId: str
    confirmName: str


async def _ask_to_delete(arguments: Any, context: Context[Any, Any]) -> Question:
    model = await _named_model(arguments, context)
    states, snapshots = (len(listing.objects(model.get(member))) for member in ("states", "snapshots"))
    name, created = in_a_line(listing.label(model.get("name"))), listing.iso_time(model.get("createdAt"))
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
    model = await listing.model_of(arguments["modelId"], context)
    # The name as find_models tells it is as good: the id says already which model is meant.
    if arguments["confirmName"] not in (model.get("name"), listing.label(model.get("name"))):
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
    await call_decthings(context, lambda client: client.delete_model(arguments["modelId"]))
    told = {"result": {"deleted": arguments["modelId"]}, "nextStep": "Tell the person. It cannot be brought back."}
    return success(told, f'Deleted the model "{harmless(arguments["confirmName"], 100)}" for good.', "done")


DELETE_MODEL = DecthingsTool.define(
    delete_model,
    reader=Reader(
        object_of(
            {"modelId": text(), "confirmName": text("The model's present name, exactly.")}, ("modelId", "confirmName")
        )
    ),
    adapter=TypeAdapter(DeleteArguments),
    effect=CHANGES,
    destructive=True,
    idempotent=True,
    title="Delete a Decthings model",
    description="Delete a model for good, with its states and snapshots. Only when the user asked for it: confirmName "
    "has to be the name they gave. A creation that is under way is cancelled.",
    output_schema=output_schema(result=object_of({"deleted": text()})),
)
