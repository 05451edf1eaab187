"""What stands behind name_already_used: the model that has the name, and names that are free."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import anyio

from ..decthings import ApiError, DecthingsClient, DecthingsError
from ..decthings.json_codec import is_object
from ..results.text import iso_time, short_text

_MAX_SUGGESTIONS = 2
_CANDIDATES = 10
_LIMIT = 100
_SECONDS = 8.0

# What getModels does not tell of a model, by how it was created.
_NOT_RETURNED = {
    "code": ("preset",),
    "upload": ("format", "data"),
    "basedOnModelSnapshot": ("initialState",),
    "fromExisting": ("modelId", "snapshotId"),
}


async def with_conflict_details(error: ApiError, asked: Mapping[str, Any], client: DecthingsClient) -> ApiError:
    """The error with `existing` and `freeNames`, as far as they can be found out.

    Args:
        asked: the parameters of createModel.
    """
    name = asked["name"]
    candidates = [f"{name}-{number}" for number in range(2, 2 + _CANDIDATES)]
    try:
        with anyio.fail_after(_SECONDS):
            page = await client.get_models({"filter": {"names": [name, *candidates]}, "limit": _LIMIT})
    except (DecthingsError, TimeoutError):
        return error
    details = dict(error.details)
    if (own := own_model(page["models"], name)) is not None:
        details["existing"] = compare_with_request(own, asked)
    if page["total"] <= len(page["models"]):
        taken = {model.get("name") for model in page["models"]}
        details["freeNames"] = [candidate for candidate in candidates if candidate not in taken][:_MAX_SUGGESTIONS]
    return ApiError(error.code, details)


def own_model(models: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any] | None:
    """The caller's model of that name: one that they may write, and rather a user's than an organization's."""
    own = [model for model in models if model.get("name") == name and model.get("access") == "readwrite"]
    by_user = [model for model in own if is_object(model.get("owner")) and model["owner"].get("type") == "user"]
    return next(iter(by_user or own), None)


def compare_with_request(model: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """`differs` names what is not as it was asked for, `notCompared` what was asked for and getModels does not tell."""
    options = asked["options"]
    wanted: dict[str, Any] = {
        "description": asked["description"],
        "publicAccess": asked.get("publicAccess", False),
        **{name: options[name] for name in ("tags", "language", "wasm", "parameterDefinitions") if name in options},
    }
    differs = [name for name, value in wanted.items() if model.get(name) != value]
    if _based_on(model) != _wanted_base(options):
        differs.append("basedOnSnapshot")
    not_told = [name for name in _NOT_RETURNED[options["type"]] if name in options]
    return {
        "modelId": short_text(model.get("id")),
        "createdAt": iso_time(model.get("createdAt")),
        "beingCreated": model.get("beingCreated") is True,
        **({"differs": differs} if differs else {}),
        **({"notCompared": not_told} if not_told else {}),
        **({} if not_told and not differs else {"same": not differs}),
    }


def _based_on(model: Mapping[str, Any]) -> tuple[Any, Any] | None:
    base = model.get("basedOnSnapshot")
    return (base.get("modelId"), base.get("snapshotId")) if is_object(base) else None


def _wanted_base(options: Mapping[str, Any]) -> tuple[Any, Any] | None:
    if options["type"] != "basedOnModelSnapshot":
        return None
    return options["modelId"], options["snapshotId"]
