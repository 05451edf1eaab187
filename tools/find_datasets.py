"""find_datasets: the datasets that the account can see, with their keys."""

from __future__ import annotations

from typing import Any

from mcp.server.mcpserver import Context
from mcp_types import CallToolResult

from . import listing
from .arguments.reader import Reader
from .calls.retries import call_decthings
from .calls.tool import DecthingsTool
from .decthings.json_codec import is_object
from .results.text import objects_in, sanitize_json, short_text
from .results.tool_result import READS, success


async def find_datasets(
    arguments: listing.ListArguments, ignored: list[str], context: Context[Any, Any]
) -> CallToolResult:
    params = listing.list_params(arguments)
    found = await call_decthings(context, lambda client: client.get_datasets(params), idempotent=True)
    answer = listing.page("datasets", found, arguments, _brief)
    return success(answer, f"{found['total']} dataset{'' if found['total'] == 1 else 's'} found.")


def _brief(dataset: dict[str, Any]) -> dict[str, Any]:
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


FIND_DATASETS = DecthingsTool.define(
    find_datasets,
    reader=Reader(listing.input_schema()),
    takes=listing.ListArguments,
    effect=READS,
    title="Find Decthings datasets",
    description="List the datasets this account can see: ids, names, and their keys with the types each accepts, "
    "for create_model with an initial state that is created from a dataset.",
    output_schema=listing.page_schema("datasets"),
)
