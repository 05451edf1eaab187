"""update_model: changes a model in place, instead of making a second one."""

from __future__ import annotations

from typing import Annotated, Any, NotRequired, cast

from pydantic import AfterValidator
from typing_extensions import TypedDict

from .arguments import parameter_definitions
from .arguments.reader import Members, Reader
from .arguments.schema import Node, described, list_of, object_of, string, tags
from .arguments.validation import invalid
from .calls.call import Call
from .calls.confirmation import NOW_PUBLIC, TELL_PUBLIC, publish_question
from .calls.models import get_writable_model
from .calls.outcomes import OutcomeLookup
from .calls.tool import DecthingsTool
from .decthings import types
from .decthings.json_codec import is_object, parse_if_json
from .results.text import sanitize_json, short_text
from .results.tool_result import CHANGES, Success, output_schema


@types.strict
class UpdateArguments(TypedDict):
    modelId: str
    name: NotRequired[str]
    description: NotRequired[str]
    publicAccess: NotRequired[bool]
    tags: NotRequired[list[types.Tag]]
    parameterDefinitions: NotRequired[types.ParameterDefinitions]


def _autofilled(given: Members) -> list[str]:
    """What a client meant to leave out that fills in every field: what is empty, and "not public" next to a change."""
    optional = [name for name in UpdateArguments.__annotations__ if name != "modelId"]
    if not all(name in given for name in optional):
        return []
    empty = [name for name in optional if _is_blank(given[name])]
    is_private = given["publicAccess"] in (False, "false")
    changes = [name for name in optional if name not in (*empty, "publicAccess")]
    return [*empty, "publicAccess"] if is_private and changes else empty


def _is_blank(value: Any) -> bool:
    meant = parse_if_json(value)
    return all(map(_is_blank, meant.values())) if is_object(meant) else meant in (None, "", [])


def _has_changes(arguments: UpdateArguments) -> UpdateArguments:
    if len(arguments) == 1:
        allowed = [name for name in UpdateArguments.__annotations__ if name != "modelId"]
        raise invalid("have nothing to change; give at least one of the possible fields", allowed=allowed)
    return arguments


async def _question(arguments: UpdateArguments, call: Call) -> str | None:
    if not arguments.get("publicAccess"):
        return None
    model = await get_writable_model(arguments["modelId"], call)
    return None if model.get("publicAccess") is True else publish_question(short_text(model.get("name")))


async def update_model(arguments: UpdateArguments, call: Call) -> Success:
    model_id = arguments["modelId"]
    properties = {name: value for name, value in arguments.items() if name != "modelId"}
    await call.write(
        lambda client, sending: client.update_model(model_id, cast(types.ModelProperties, properties), sending),
        lambda lookup: _verify_update(lookup, model_id, properties),
        may_repeat=True,
    )
    public, tell = (f"{NOW_PUBLIC} ", f"{TELL_PUBLIC} ") if properties.get("publicAccess") else ("", "")
    return Success(
        f"{public}Changed {', '.join(properties)} of the model.",
        {"result": {"changed": list(properties), "newValues": sanitize_json(properties, depth=8)}},
        f"{tell}Tell the user what was changed.",
    )


async def _verify_update(lookup: OutcomeLookup, model_id: str, properties: dict[str, Any]) -> None:
    """Whether the model has all of the properties.

    Raises:
        LostResponse: it does not, or not yet.
    """
    finding = "The lookup did not find the model."
    async for models in lookup.models({"ids": [model_id]}):
        for model in models:
            differs = [name for name, value in properties.items() if model.get(name) != value]
            lookup.found = {"differs": differs} if differs else {}
            if not differs:
                return
            finding = "The model does not have all of what was asked for."
    next_step = "Make the same call again: setting the same values twice does no harm."
    raise lookup.unknown(finding, next_step, may_repeat=True)


def _schema(*, full: bool) -> Node:
    definitions = parameter_definitions.parameter_definitions_schema(
        full=full, description="All of them, not only new ones."
    )
    return object_of(
        {
            "modelId": string("From find_models."),
            "name": string("A new name."),
            "description": string("A new one."),
            "publicAccess": described("boolean", "Every Decthings user can use it."),
            "tags": tags("All of them, not only new ones."),
            "parameterDefinitions": definitions,
        },
        ("modelId",),
    )


UPDATE_MODEL = DecthingsTool(
    handler=update_model,
    title="Update a Decthings model",
    description="Change a model's name, description, publicAccess, tags or parameterDefinitions, to fix it without "
    "making a second one. What is given replaces the whole value, as of tags; what is left out stays.",
    reader=Reader(
        _schema(full=True),
        parameter_definitions.rewrites("parameterDefinitions", may_be_empty=True),
        autofilled={"": _autofilled},
        may_be_empty=frozenset({"description"}),
    ),
    published_schema=_schema(full=False),
    arguments=Annotated[UpdateArguments, AfterValidator(_has_changes)],
    output_schema=output_schema(result=object_of({"changed": list_of(string()), "newValues": object_of({})})),
    effect=CHANGES,
    question=_question,
    # "If false, the tool performs only additive updates", says MCP: this one replaces values, which are then lost.
    destructive=True,
    idempotent=True,
)
