"""What a client can read beside calling tools: models as JSON, and the guide to create_model."""

from __future__ import annotations

import json
from typing import Any

from mcp.server import MCPServer
from mcp.server.context import ServerRequestContext
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from mcp_types import CompleteRequestParams, CompleteResult, Completion, ResourceTemplateReference

from .calls.services import Services, services_of, services_of_request
from .create_model.guide import guide
from .decthings import DecthingsError, types
from .listing import full_item
from .results.errors import NotConfigured
from .results.text import short_text

MODEL_URI = "decthings://models/{modelId}"
GUIDE_URI = "decthings://guide/create_model"
_MAX_COMPLETIONS = 100


def add_resources(server: MCPServer[Services]) -> None:
    server.resource(GUIDE_URI, name="create_model_guide", title="Guide to create_model", mime_type="text/markdown")(
        _guide
    )
    server.resource(MODEL_URI, name="model", title="A Decthings model", mime_type="application/json")(_model)
    # MCPServer's own completion handlers are not told what they work with.
    lowlevel = server._lowlevel_server  # pyright: ignore[reportPrivateUsage]
    lowlevel.add_request_handler("completion/complete", CompleteRequestParams, _complete)


def _guide() -> str:
    """What each way of creating a model is for, with an example of its arguments."""
    return guide()


async def _model(modelId: str, context: Context[Any, Any]) -> str:  # noqa: N803 - named as in the URI
    """Everything that Decthings says of one model."""
    params: types.ListParams = {"filter": {"ids": [modelId]}}
    try:
        found = (await services_of(context).connected().get_models(params))["models"]
    except (DecthingsError, NotConfigured) as error:
        raise ResourceError(str(error)) from error
    model = next((model for model in found if model.get("id") == modelId), None)
    if model is None:
        raise ResourceNotFoundError("There is no model of that id that this account can see.")
    return json.dumps(full_item(model), ensure_ascii=False, indent=1)


async def _complete(context: ServerRequestContext[Services, Any], params: CompleteRequestParams) -> CompleteResult:
    """Ids of models that begin with what is typed, or whose name contains it."""
    of_model = isinstance(params.ref, ResourceTemplateReference) and params.ref.uri == MODEL_URI
    if not of_model or params.argument.name != "modelId":
        return CompleteResult(completion=Completion(values=[]))
    typed = params.argument.value
    try:
        client = services_of_request(context).connected()
        newest = (await client.get_models({"limit": _MAX_COMPLETIONS}))["models"]
        named = await client.get_models({"limit": _MAX_COMPLETIONS, "filter": {"searchName": typed}}) if typed else None
    except (DecthingsError, NotConfigured):
        newest, named = [], None  # a completion is no place for errors: reading the resource tells them
    begun = [short_text(model.get("id")) for model in newest if str(model.get("id", "")).startswith(typed)]
    ids = dict.fromkeys(begun + [short_text(model.get("id")) for model in (named["models"] if named else [])])
    values = [model_id for model_id in ids if model_id][:_MAX_COMPLETIONS]
    return CompleteResult(completion=Completion(values=values, has_more=len(values) == _MAX_COMPLETIONS))
