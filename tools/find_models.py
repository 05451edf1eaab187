"""find_models: the models that the account can see, with the ids that other tools ask for."""

from __future__ import annotations

from typing import Any

from . import listing
from .arguments.reader import Reader
from .calls.call import Call
from .calls.tool import DecthingsTool
from .results.text import objects_in, short_text
from .results.tool_result import READS, Success


async def find_models(arguments: listing.ListArguments, call: Call) -> Success:
    params = listing.list_params(arguments)
    return listing.page("models", await call.read(lambda client: client.get_models(params)), arguments, _summary)


def _summary(model: dict[str, Any]) -> dict[str, Any]:
    snapshots = objects_in(model.get("snapshots"))
    states = objects_in(model.get("states"))
    active = next((state for state in states if state.get("id") == model.get("activeState")), None)
    return {
        **listing.common_fields(model),
        "beingCreated": model.get("beingCreated") is True,
        "language": short_text(model.get("language")),
        "snapshots": listing.first_few(snapshots, _snapshot),
        "activeState": short_text(active.get("name")) if active else None,
    }


def _snapshot(snapshot: dict[str, Any]) -> dict[str, Any]:
    return {name: short_text(snapshot.get(name)) for name in ("id", "name")}


FIND_MODELS = DecthingsTool(
    handler=find_models,
    title="Find Decthings models",
    description="List the models this account can see: ids, names, owners, snapshots (id, name), whether they are "
    "still being created. Without arguments the newest ones. detail adds everything else, parameter definitions too.",
    reader=Reader(listing.input_schema()),
    arguments=listing.ListArguments,
    output_schema=listing.page_schema("models"),
    effect=READS,
)
