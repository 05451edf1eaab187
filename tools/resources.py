"""What a client can read besides calling tools: models as JSON, and the guide to create_model."""

from __future__ import annotations

import json
from typing import Any

from mcp.server import MCPServer
from mcp.server.context import ServerRequestContext
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from mcp_types import CompleteRequestParams, CompleteResult, Completion, ResourceTemplateReference

from .calls.call import Call
from .calls.mcp_internals import lowlevel_server
from .calls.services import Services, services_of_request
from .create_model.guide import guide
from .decthings import DecthingsError, types
from .listing import full_item
from .results.errors import NotConfigured
from .results.text import short_text
from .results.tool_result import failure_text

MODEL_URI = "decthings://models/{modelId}"
GUIDE_URI = "decthings://guide/create_model"
_MAX_COMPLETIONS = 100


def add_resources(server: MCPServer[Services]) -> None:
    server.resource(GUIDE_URI, name="create_model_guide", title="Guide to create_model", mime_type="text/markdown")(
        _guide
    )
    server.resource(MODEL_URI, name="model", title="A Decthings model", mime_type="application/json")(_model)
    # MCPServer's own completion handlers get no context.
    lowlevel_server(server).add_request_handler("completion/complete", CompleteRequestParams, _complete)


def _guide() -> str:
    """What each way of creating a model is for, with an example of its arguments."""
    return guide()


async def _model(modelId: str, context: Context[Any, Any]) -> str:  # noqa: N803 - named as in the URI
    """All that Decthings returns of one model."""
    params: types.ListParams = {"filter": {"ids": [modelId]}}
    try:
        models = (await Call("resource", context).read(lambda client: client.get_models(params)))["models"]
    except (DecthingsError, NotConfigured) as error:
        raise ResourceError(failure_text(error)) from error
    model = next((model for model in models if model.get("id") == modelId), None)
    if model is None:
        raise ResourceNotFoundError("No model with that id is visible to this account.")
    return json.dumps(full_item(model), ensure_ascii=False, indent=1)


async def _complete(context: ServerRequestContext[Services, Any], params: CompleteRequestParams) -> CompleteResult:
    """Ids of models that begin with what is typed, or whose name contains it."""
    if not isinstance(params.ref, ResourceTemplateReference):
        return CompleteResult(completion=Completion(values=[]))
    typed = params.argument.value
    try:
        client = await services_of_request(context).require_client()
        newest = (await client.get_models({"limit": _MAX_COMPLETIONS}))["models"]
        named = await client.get_models({"limit": _MAX_COMPLETIONS, "filter": {"searchName": typed}}) if typed else None
    except (DecthingsError, NotConfigured):
        newest, named = [], None  # a completion cannot carry an error: reading the resource reports it
    by_id = [short_text(model.get("id")) for model in newest if str(model.get("id", "")).startswith(typed)]
    ids = dict.fromkeys(by_id + [short_text(model.get("id")) for model in (named["models"] if named else [])])
    values = [model_id for model_id in ids if model_id][:_MAX_COMPLETIONS]
    return CompleteResult(completion=Completion(values=values, has_more=len(values) == _MAX_COMPLETIONS))
