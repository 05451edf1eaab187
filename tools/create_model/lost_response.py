"""Whether a model was created, when the response of Decthings was lost.

Names are unique per owner, so a model of that name which is the caller's own, matches what was asked for
and is no older than the request, by Decthings' own clock, is the one that was asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..calls.outcomes import OutcomeLookup
from ..decthings import types
from .name_conflict import compare_with_request, own_model


async def verify_created(lookup: OutcomeLookup, params: types.CreateModelParams) -> types.CreatedModel:
    """The model that was created after all.

    Raises:
        LostResponse: it was not created, or that could not be found out.
    """
    async for models in lookup.models({"names": [params["name"]]}):
        if (model := own_model(models, params["name"])) is not None:
            return _classify(model, lookup, params)
    raise lookup.unknown("The lookup by its name did not find it.")


def _classify(model: Mapping[str, Any], lookup: OutcomeLookup, params: types.CreateModelParams) -> types.CreatedModel:
    existing = compare_with_request(model, params)
    lookup.found["existing"] = existing
    is_new, model_id = lookup.is_from_this_call(model.get("createdAt")), model.get("id")
    if is_new is None:
        raise lookup.unknown("A model of this name exists; whether this call made it cannot be determined.")
    if not is_new:
        raise lookup.not_applied(
            "Nothing was created: the account had a model of this name before, and Decthings refuses a second one.",
            "If that model is the wanted one, use it. Otherwise ask the user for another name.",
        )
    if existing.get("differs") or not isinstance(model_id, str):
        raise lookup.unknown("A model of this name was made since, and is not quite what was asked for.")
    return {"modelId": model_id, "isNowCreating": model.get("beingCreated") is True}
