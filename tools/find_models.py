"""find_models: the models that the account can see, with the ids that other tools ask for."""

from __future__ import annotations

from typing import Any

from . import listing
from .arguments.reader import Reader
from .calls.call import Call
from .calls.tool import DecthingsTool
from .decthings import types
from .decthings.json_codec import is_list, is_object
from .results.text import iso_time, objects_in, short_text
from .results.tool_result import READS, Success


async def find_models(arguments: listing.ListArguments, call: Call) -> Success:
    async def list_page(params: types.ListParams) -> list[dict[str, Any]]:
        return (await call.read(lambda client: client.get_models(params)))["models"]

    params = listing.list_params(await listing.with_owner_ids(arguments, list_page))
    found = await call.read(lambda client: client.get_models(params))
    models = list(map(_with_newest_snapshots_first, found["models"]))
    hint = _STATE_HINT if any(map(_may_have_failed, models)) else ""
    return listing.page("models", {**found, "models": models}, arguments, _summary, hint)


_STATE_HINT = (
    'A model with basedOnSnapshot and the state "none" has no active state: its creation may have failed. '
    "wait_for_model says whether, and why."
)


def _with_newest_snapshots_first(model: dict[str, Any]) -> dict[str, Any]:
    snapshots = sorted(objects_in(model.get("snapshots")), key=_created_at, reverse=True)
    return {**model, "snapshots": snapshots} if snapshots else model


def _created_at(snapshot: dict[str, Any]) -> float:
    created_at = snapshot.get("createdAt")
    return created_at if isinstance(created_at, (int, float)) else float("-inf")


def _may_have_failed(model: dict[str, Any]) -> bool:
    return is_object(model.get("basedOnSnapshot")) and _state(model) == "none"


def _summary(model: dict[str, Any]) -> dict[str, Any]:
    active, base = _active_state(model), model.get("basedOnSnapshot")
    return {
        **listing.common_fields(model),
        "beingCreated": model.get("beingCreated") is True,
        "state": _state(model),
        "activeState": short_text(active.get("name")) if active else None,
        "language": short_text(model.get("language")),
        "snapshots": listing.first_few(objects_in(model.get("snapshots")), _snapshot),
        **({"basedOnSnapshot": {name: short_text(base.get(name)) for name in _BASE}} if is_object(base) else {}),
    }


_BASE = ("modelId", "snapshotId")


def _state(model: dict[str, Any]) -> str | None:
    """Whether there is an active state: creating, active or none; None if Decthings did not return states."""
    if model.get("beingCreated") is True:
        return "creating"
    if _active_state(model) is not None:
        return "active"
    return "none" if is_list(model.get("states")) else None


def _active_state(model: dict[str, Any]) -> dict[str, Any] | None:
    states = objects_in(model.get("states"))
    return next((state for state in states if state.get("id") == model.get("activeState")), None)


def _snapshot(snapshot: dict[str, Any]) -> dict[str, Any]:
    names = {name: short_text(snapshot.get(name)) for name in ("id", "name")}
    return {**names, "createdAt": iso_time(snapshot.get("createdAt"))}


FIND_MODELS = DecthingsTool(
    handler=find_models,
    title="Find Decthings models",
    description="List the models this account can see: ids, names, owners, snapshots (newest first), and state: "
    "creating, active or none. Without arguments the newest models. detail adds everything else, like parameter "
    "definitions.",
    reader=Reader(listing.input_schema()),
    arguments=listing.ListArguments,
    output_schema=listing.page_schema("models"),
    effect=READS,
)
