"""A model that a tool is about to change, as it is now."""

from __future__ import annotations

from typing import Any

from ..decthings import ApiError, types
from .call import Call


async def get_writable_model(model_id: str, call: Call) -> dict[str, Any]:
    """The model.

    Raises:
        ApiError: model_not_found; access_denied when this account may only look at it.
    """
    params: types.ListParams = {"filter": {"ids": [model_id]}}
    models = (await call.read(lambda client: client.get_models(params)))["models"]
    model = next((model for model in models if model.get("id") == model_id), None)
    if model is None:
        raise ApiError("model_not_found", {})
    if model.get("access") == "read":
        raise ApiError("access_denied", {})
    return model
