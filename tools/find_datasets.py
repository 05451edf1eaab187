"""find_datasets: the datasets that the account can see, with their keys."""

from __future__ import annotations

from typing import Any

from . import listing
from .arguments.reader import Reader
from .calls.call import Call
from .calls.tool import DecthingsTool
from .decthings import types
from .decthings.json_codec import is_object
from .results.text import objects_in, sanitize_json, short_text
from .results.tool_result import READS, Success


async def find_datasets(arguments: listing.ListArguments, call: Call) -> Success:
    async def list_page(params: types.ListParams) -> list[dict[str, Any]]:
        return (await call.read(lambda client: client.get_datasets(params)))["datasets"]

    params = listing.list_params(await listing.with_owner_ids(arguments, list_page))
    return listing.page("datasets", await call.read(lambda client: client.get_datasets(params)), arguments, _summary)


def _summary(dataset: dict[str, Any]) -> dict[str, Any]:
    entries = dataset.get("entries")
    return {
        **listing.common_fields(dataset),
        "entries": entries.get("count") if is_object(entries) else None,
        "keys": listing.first_few(objects_in(dataset.get("keys")), _key),
    }


def _key(key: dict[str, Any]) -> dict[str, Any]:
    rules = key.get("rules")
    known: dict[str, Any] = rules if is_object(rules) else {}
    return {
        "datasetKey": short_text(key.get("name")),
        "allowedTypes": sanitize_json(known.get("allowedTypes")),
        "shape": sanitize_json(known.get("shape")),
    }


FIND_DATASETS = DecthingsTool(
    handler=find_datasets,
    title="Find Decthings datasets",
    description="List the datasets this account can see: ids, names, and their keys with the types each accepts, "
    "for create_model with an initial state that is created from a dataset.",
    reader=Reader(listing.input_schema()),
    arguments=listing.ListArguments,
    output_schema=listing.page_schema("datasets"),
    effect=READS,
)
