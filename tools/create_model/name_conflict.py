"""Details for name_already_used: the model that has the name, and names that are free."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import anyio

from ..decthings import ApiError, DecthingsClient, DecthingsError
from ..decthings.json_codec import is_object
from ..results.text import iso_time, short_text

_MAX_SUGGESTIONS = 2
_CANDIDATES = 10
_PAGE_LIMIT = 100
_OWNER_SEPARATOR = "/"
"""Between an organization and the name, by all appearance: the API page does not say how one is named."""
_LOOKUP_SECONDS = 8.0

# What getModels does not return of a model, by how it was created.
_NOT_RETURNED = {
    "code": ("preset",),
    "upload": ("format", "data"),
    "basedOnModelSnapshot": ("initialState",),
    "fromExisting": ("modelId", "snapshotId"),
}


async def with_conflict_details(error: ApiError, requested: Mapping[str, Any], client: DecthingsClient) -> ApiError:
    """The error with `existing` and `freeNames`, as far as they are known.

    Args:
        requested: the parameters of createModel.
    """
    name = requested["name"]
    candidates = [f"{name}-{number}" for number in range(2, 2 + _CANDIDATES)]
    try:
        with anyio.fail_after(_LOOKUP_SECONDS):
            page = await client.get_models({"filter": {"names": [name, *candidates]}, "limit": _PAGE_LIMIT})
    except (DecthingsError, TimeoutError):
        return error
    details = dict(error.details)
    if (own := own_model(page["models"], name)) is not None:
        details["existing"] = compare_with_request(own, requested)
    if page["total"] <= len(page["models"]):
        taken = {model.get("name") for model in page["models"]}
        details["freeNames"] = [candidate for candidate in candidates if candidate not in taken][:_MAX_SUGGESTIONS]
    return ApiError(error.code, details)


def own_model(models: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any] | None:
    """The caller's model of that name. One of an organization is another model, unless its name was asked for."""
    own = [model for model in models if model.get("name") == name and model.get("access") == "readwrite"]
    by_user = [model for model in own if is_object(model.get("owner")) and model["owner"].get("type") == "user"]
    return next(iter(own if _OWNER_SEPARATOR in name else by_user), None)


def compare_with_request(model: Mapping[str, Any], requested: Mapping[str, Any]) -> dict[str, Any]:
    """`differs` names what is not as requested, `notCompared` what was requested and getModels does not return."""
    options = requested["options"]
    wanted: dict[str, Any] = {
        "description": requested["description"],
        "publicAccess": requested.get("publicAccess", False),
        **{name: options[name] for name in ("tags", "language", "wasm", "parameterDefinitions") if name in options},
    }
    differs = [name for name, value in wanted.items() if model.get(name) != value]
    if _based_on(model) != _wanted_base(options):
        differs.append("basedOnSnapshot")
    not_compared = [name for name in _NOT_RETURNED[options["type"]] if name in options]
    return {
        "modelId": short_text(model.get("id")),
        "createdAt": iso_time(model.get("createdAt")),
        "beingCreated": model.get("beingCreated") is True,
        **({"differs": differs} if differs else {}),
        **({"notCompared": not_compared} if not_compared else {}),
        **({} if not_compared and not differs else {"same": not differs}),
    }


def _based_on(model: Mapping[str, Any]) -> tuple[Any, Any] | None:
    base = model.get("basedOnSnapshot")
    return (base.get("modelId"), base.get("snapshotId")) if is_object(base) else None


def _wanted_base(options: Mapping[str, Any]) -> tuple[Any, Any] | None:
    if options["type"] != "basedOnModelSnapshot":
        return None
    return options["modelId"], options["snapshotId"]
