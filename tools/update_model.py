"""update_model: mend what is wrong with a model, instead of making a second one."""

from __future__ import annotations

from typing import Annotated, Any, NotRequired, cast

from mcp.server.mcpserver import Context, ElicitationResult, Resolve
from mcp_types import CallToolResult
from pydantic import AfterValidator, TypeAdapter, with_config

# pydantic needs this TypedDict rather than typing's on Python 3.11.
from typing_extensions import TypedDict

from . import definitions
from .answers import CHANGES, output_schema, success
from .checking import wrong
from .confirming import NOW_PUBLIC, Confirmed, Question, ask_to_publish, require
from .decthings import types
from .listing import label, model_of
from .reading import Reader
from .repeating import call_decthings
from .schema_nodes import TAGS, Node, described, object_of, text
from .tool import DecthingsTool


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
    await call_decthings(context, lambda client: client.update_model(arguments["modelId"], changes))
    public = f"{NOW_PUBLIC} " if properties.get("publicAccess") else ""
    told = {"result": {"changed": list(properties)}, "nextStep": f"{public}Tell the person what was changed."}
    return success(told, f"{public}Changed {', '.join(properties)} of the model.", "done")


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
    adapter=TypeAdapter(Annotated[UpdateArguments, AfterValidator(_something_to_change)]),
    effect=CHANGES,
    idempotent=True,
    title="Update a Decthings model",
    description="Change a model's name, description, publicAccess, tags or parameterDefinitions, to mend it without "
    "making a second one. What is given replaces what was there; what is left out stays.",
    output_schema=output_schema(result=object_of({"changed": {"type": "array", "items": text()}})),
)
