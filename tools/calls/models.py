"""A model that a tool is about to change, looked up first."""

from __future__ import annotations

from typing import Any

from mcp.server.mcpserver import Context

from ..decthings import ApiError, types
from .retries import call_decthings


async def get_writable_model(model_id: str, context: Context[Any, Any]) -> dict[str, Any]:
    """A model as it is now.

    Raises:
        ApiError: model_not_found; access_denied when this account may only look at it.
    """
    params: types.ListParams = {"filter": {"ids": [model_id]}}
    found = (await call_decthings(context, lambda client: client.get_models(params), idempotent=True))["models"]
    model = next((model for model in found if model.get("id") == model_id), None)
    if model is None:
        raise ApiError("model_not_found", {})
    if model.get("access") == "read":
        raise ApiError("access_denied", {})
    return model
