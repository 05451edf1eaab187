"""What stands behind name_already_used: the model that has the name, and names that are free."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .decthings import ApiError, DecthingsClient, DecthingsError
from .listing import iso_time, label

_SUGGESTED = 2
_TRIED = 10
_COMPARED = ("description", "publicAccess")
_COMPARED_OPTIONS = ("tags", "language", "wasm", "parameterDefinitions")


async def explained(error: ApiError, asked: Mapping[str, Any], client: DecthingsClient) -> ApiError:
    """The error with `existing` and `freeNames`, as far as they can be found out.

    Args:
        asked: the parameters of createModel.
    """
    name = asked["name"]
    candidates = [f"{name}-{number}" for number in range(2, 2 + _TRIED)]
    try:
        found = (await client.get_models({"filter": {"names": [name, *candidates]}, "limit": _TRIED + 1}))["models"]
    except DecthingsError:
        return error
    own = {model.get("name"): model for model in found if model.get("access") == "readwrite"}
    details = dict(error.details)
    if name in own:
        details["existing"] = compared(own[name], asked)
    details["freeNames"] = [candidate for candidate in candidates if candidate not in own][:_SUGGESTED]
    return ApiError(error.code, details)


def compared(model: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """`differs` names what is not as it was asked for, among what Decthings tells of a model."""
    wanted = {name: asked[name] for name in _COMPARED if name in asked}
    wanted |= {name: asked["options"][name] for name in _COMPARED_OPTIONS if name in asked["options"]}
    differs = [name for name, value in wanted.items() if model.get(name) != value]
    return {
        "modelId": label(model.get("id")),
        "createdAt": iso_time(model.get("createdAt")),
        "same": not differs,
        **({"differs": differs} if differs else {}),
    }
