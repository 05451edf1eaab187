"""update_model: mend what is wrong with a model, instead of making a second one."""

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
from .arguments.validation import wrong
from .calls.confirmation import NOW_PUBLIC, Confirmed, Question, ask_to_publish, require
from .calls.models import model_of
from .calls.outcomes import LookUp, confirmation, settled
from .calls.progress import Progress
from .calls.services import backend_of
from .calls.tool import DecthingsTool
from .decthings import types
from .results.text import label
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
        raise wrong("say nothing that is to be changed", allowed=allowed)
    return arguments


async def _ask_if_public(arguments: Any, context: Context[Any, Any]) -> Question:
    if not arguments.get("publicAccess"):
        return Confirmed(confirm=True)
    model = await model_of(arguments["modelId"], context)
    return (
        Confirmed(confirm=True)
        if model.get("publicAccess") is True
        else ask_to_publish(label(model.get("name")), context)
    )


async def update_model(
    arguments: UpdateArguments,
    ignored: list[str],
    context: Context[Any, Any],
    answer: Annotated[ElicitationResult[Confirmed], Resolve(_ask_if_public)],
) -> CallToolResult:
    require(answer)
    properties = {name: value for name, value in arguments.items() if name != "modelId"}
    changes = cast(types.ModelProperties, properties)
    _, evidence = await settled(
        "update_model",
        backend_of(context),
        Progress(context),
        lambda client, delivery: client.update_model(arguments["modelId"], changes, delivery),
        lambda look_up: _find_changed(look_up, arguments["modelId"], properties),
    )
    public = f"{NOW_PUBLIC} " if properties.get("publicAccess") else ""
    told = {
        "result": {"changed": list(properties)},
        **({} if evidence is None else {"lookUp": evidence}),
        "nextStep": f"{public}Tell the person what was changed.",
    }
    headline = f"{public}Changed {', '.join(properties)} of the model.{confirmation(evidence)}"
    return success(told, headline, "done")


async def _find_changed(look_up: LookUp, model_id: str, properties: dict[str, Any]) -> tuple[None, dict[str, Any]]:
    """
    Raises:
        LookedUp: the model is not, or not yet, as it was to be.
    """
    finding = "Looking it up did not find the model."
    differs: list[str] = []
    async for models in look_up.models({"ids": [model_id]}):
        for model in models:
            differs = [name for name, value in properties.items() if model.get(name) != value]
            if not differs:
                return None, look_up.evidence()
            finding = "The model does not have all of what was asked for."
    next_step = "Make the same call again: to set the same values twice does no harm."
    raise look_up.still_unknown(finding, next_step, **({"differs": differs} if differs else {}))


def _schema(*, full: bool) -> Node:
    return object_of(
        {
            "modelId": text(),
            "name": text("A new name."),
            "description": text(),
            "publicAccess": described("boolean", "Every Decthings user can use it."),
            "tags": TAGS,
            "parameterDefinitions": definitions.definitions(full=full, description="All of them, not only new ones."),
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
