"""What is said of name_already_used: the model that has the name, and names that are free if it is another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import anyio

from ..decthings import ApiError, DecthingsClient, DecthingsError
from ..decthings.json_codec import is_object
from ..results.errors import ModelExists
from ..results.text import iso_time, join_words, short_text

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


_AS_FAR_AS_KNOWN = "as far as can be told"


async def explain_conflict(
    error: ApiError, requested: Mapping[str, Any], client: DecthingsClient
) -> ApiError | ModelExists:
    """The error with `existing` and `freeNames`, as far as they are known; another one if that model is as requested.

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
        if not details["existing"].get("differs"):
            return model_exists(details["existing"], details)
    if page["total"] <= len(page["models"]):
        taken = {model.get("name") for model in page["models"]}
        details["freeNames"] = [candidate for candidate in candidates if candidate not in taken][:_MAX_SUGGESTIONS]
    return ApiError(error.code, details)


def model_exists(existing: Mapping[str, Any], details: Mapping[str, Any]) -> ModelExists:
    """The error that says that the model of the name is the wanted one.

    Args:
        existing: as `compare_with_request` gives it.
        details: of the error.
    """
    made = f", made at {existing['createdAt']}" if existing["createdAt"] else ""
    known = _AS_FAR_AS_KNOWN if existing["same"] == _AS_FAR_AS_KNOWN else ""
    missing = join_words(existing.get("notCompared", ["nothing"]), "and")
    same = f"is what you asked for{f', {known}: Decthings does not return {missing}' if known else ''}"
    creating, model_id = existing["beingCreated"], existing["modelId"]
    wait = " It is still being created: wait_for_model waits for it." if creating else ""
    return ModelExists(
        f"A model of this name exists{made}, and it {same}. If this repeats a call whose answer was lost, it is that "
        "model. Nothing new was created.",
        f"If this repeats such a call, go on with this modelId.{wait} If the user wants a second model next to it, ask "
        "for another name.",
        details,
        {"modelId": model_id, "isNowCreating": creating} if model_id else None,
    )


def own_model(models: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any] | None:
    """The caller's model of that name. One of an organization is another model, unless its name was asked for."""
    own = [model for model in models if model.get("name") == name and model.get("access") == "readwrite"]
    by_user = [model for model in own if is_object(model.get("owner")) and model["owner"].get("type") == "user"]
    return next(iter(own if _OWNER_SEPARATOR in name else by_user), None)


def compare_with_request(model: Mapping[str, Any], requested: Mapping[str, Any]) -> dict[str, Any]:
    """`differs` names what is not as requested, `notCompared` what was requested and getModels does not return.

    `same` is "as far as can be told" where all that was compared is as requested, and not all could be.
    """
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
        "same": _AS_FAR_AS_KNOWN if not_compared and not differs else not differs,
    }


def _based_on(model: Mapping[str, Any]) -> tuple[Any, Any] | None:
    base = model.get("basedOnSnapshot")
    return (base.get("modelId"), base.get("snapshotId")) if is_object(base) else None


def _wanted_base(options: Mapping[str, Any]) -> tuple[Any, Any] | None:
    if options["type"] != "basedOnModelSnapshot":
        return None
    return options["modelId"], options["snapshotId"]
