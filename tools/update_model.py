"""update_model: mend what is invalid with a model, instead of making a second one."""

from __future__ import annotations

from typing import Annotated, Any, NotRequired, cast

from mcp.server.mcpserver import Context, ElicitationResult, Resolve
from mcp_types import CallToolResult
from pydantic import AfterValidator, with_config

# pydantic needs this TypedDict rather than typing's on Python 3.11.
from typing_extensions import TypedDict

from .arguments import parameter_definitions as definitions
from .arguments.reader import Reader
from .arguments.schema import TAGS, Node, described, object_of, text
from .arguments.validation import invalid
from .calls.confirmation import NOW_PUBLIC, Confirmed, Question, ask_to_publish, require_consent
from .calls.models import get_writable_model
from .calls.outcomes import OutcomeLookup, recovered_note, write_with_lookup
from .calls.progress import Progress
from .calls.services import services_of
from .calls.tool import DecthingsTool
from .decthings import types
from .results.text import short_text
from .results.tool_result import CHANGES, output_schema, success


@with_config(types.STRICT)
class UpdateArguments(TypedDict):
    modelId: str
    name: NotRequired[str]
    description: NotRequired[str]
    publicAccess: NotRequired[bool]
    tags: NotRequired[list[types.Tag]]
    parameterDefinitions: NotRequired[types.ParameterDefinitions]


def _something_to_change(arguments: UpdateArguments) -> UpdateArguments:
    if len(arguments) == 1:
        allowed = [name for name in UpdateArguments.__annotations__ if name != "modelId"]
        raise invalid("say nothing that is to be changed", allowed=allowed)
    return arguments


async def _ask_if_public(arguments: Any, context: Context[Any, Any]) -> Question:
    if not arguments.get("publicAccess"):
        return Confirmed(confirm=True)
    model = await get_writable_model(arguments["modelId"], context)
    return (
        Confirmed(confirm=True)
        if model.get("publicAccess") is True
        else ask_to_publish(short_text(model.get("name")), context)
    )


async def update_model(
    arguments: UpdateArguments,
    ignored: list[str],
    context: Context[Any, Any],
    answer: Annotated[ElicitationResult[Confirmed], Resolve(_ask_if_public)],
) -> CallToolResult:
    require_consent(answer)
    properties = {name: value for name, value in arguments.items() if name != "modelId"}
    changes = cast(types.ModelProperties, properties)
    _, evidence = await write_with_lookup(
        "update_model",
        services_of(context),
        Progress(context),
        lambda client, sending: client.update_model(arguments["modelId"], changes, sending),
        lambda lookup: _verify_update(lookup, arguments["modelId"], properties),
    )
    public = f"{NOW_PUBLIC} " if properties.get("publicAccess") else ""
    told = {
        "result": {"changed": list(properties)},
        **({} if evidence is None else {"lookUp": evidence}),
        "nextStep": f"{public}Tell the person what was changed.",
    }
    headline = f"{public}Changed {', '.join(properties)} of the model.{recovered_note(evidence)}"
    return success(told, headline, "done")


async def _verify_update(
    lookup: OutcomeLookup, model_id: str, properties: dict[str, Any]
) -> tuple[None, dict[str, Any]]:
    """
    Raises:
        LostResponse: the model is not, or not yet, as it was to be.
    """
    finding = "Looking it up did not find the model."
    differs: list[str] = []
    async for models in lookup.models({"ids": [model_id]}):
        for model in models:
            differs = [name for name, value in properties.items() if model.get(name) != value]
            if not differs:
                return None, lookup.evidence()
            finding = "The model does not have all of what was asked for."
    next_step = "Make the same call again: to set the same values twice does no harm."
    raise lookup.unknown(finding, next_step, **({"differs": differs} if differs else {}))


def _schema(*, full: bool) -> Node:
    return object_of(
        {
            "modelId": text(),
            "name": text("A new name."),
            "description": text(),
            "publicAccess": described("boolean", "Every Decthings user can use it."),
            "tags": TAGS,
            "parameterDefinitions": definitions.parameter_definitions_schema(
                full=full, description="All of them, not only new ones."
            ),
        },
        ("modelId",),
    )


UPDATE_MODEL = DecthingsTool.define(
    update_model,
    reader=Reader(
        _schema(full=True),
        definitions.rewrites("parameterDefinitions", may_be_empty=True),
        may_be_empty=frozenset({"description"}),
    ),
    published_schema=_schema(full=False),
    takes=Annotated[UpdateArguments, AfterValidator(_something_to_change)],
    effect=CHANGES,
    idempotent=True,
    title="Update a Decthings model",
    description="Change a model's name, description, publicAccess, tags or parameterDefinitions, to mend it without "
    "making a second one. What is given replaces what was there; what is left out stays.",
    output_schema=output_schema(result=object_of({"changed": {"type": "array", "items": text()}})),
)
