"""Whether a model was created, when the response of Decthings was lost.

Names are unique per owner, so a model of that name which is the caller's own and matches what was asked for is the
wanted one, whether this call or another one at the same time made it: clocks cannot tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..calls.outcomes import OutcomeLookup
from ..decthings import types
from .name_conflict import compare_with_request, model_exists, own_model


async def verify_created(lookup: OutcomeLookup, params: types.CreateModelParams) -> types.CreatedModel:
    """The model that was created after all.

    Raises:
        LostResponse: it was not created, or that could not be found out.
        ModelExists: it was there before.
    """
    async for models in lookup.models({"names": [params["name"]]}):
        if (model := own_model(models, params["name"])) is not None:
            return _classify(model, lookup, params)
    raise lookup.unknown("The lookup by its name did not find it.", may_repeat=True)


def _classify(model: Mapping[str, Any], lookup: OutcomeLookup, params: types.CreateModelParams) -> types.CreatedModel:
    existing = compare_with_request(model, params)
    lookup.found["existing"] = existing
    model_id = model.get("id")
    if lookup.is_older(model.get("createdAt")):
        if not existing.get("differs"):
            raise model_exists(existing, {"lookUp": lookup.evidence()})
        raise lookup.not_applied(
            "Nothing was created: the account had a model of this name before, and Decthings refuses a second one.",
            "If that model is the wanted one, use it. Otherwise ask the user for another name.",
        )
    if existing.get("differs") or not isinstance(model_id, str):
        raise lookup.unknown("A model of this name exists, and is not quite what was asked for.")
    return {"modelId": model_id, "isNowCreating": model.get("beingCreated") is True}
