"""What a model was made of, for the result: bounded, and without the content of files and tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..decthings.types import DEFINITION_LISTS
from ..results.text import sanitize_json

_MAX_ITEMS = 20
_MAX_TEXT = 100
_SCALARS = ("type", "language", "preset", "wasm", "format", "modelId", "snapshotId")


def summarize(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The name, the access, the tags, and what else was sent, as far as it is short."""
    options = arguments["options"]
    shown: dict[str, Any] = {
        "name": arguments["name"],
        "publicAccess": arguments.get("publicAccess", False),
        **{name: options[name] for name in _SCALARS if name in options},
    }
    if "tags" in options:
        shown["tags"] = [f"{tag['tag']}: {tag['value']}" for tag in options["tags"]]
    if "parameterDefinitions" in options:
        shown["parameterDefinitions"] = _names(options["parameterDefinitions"])
    if "initialState" in options:
        shown["initialState"] = _state(options["initialState"])
    return sanitize_json(shown, items=_MAX_ITEMS, text=_MAX_TEXT)


def _names(definitions: Mapping[str, Any]) -> dict[str, list[str]]:
    lists = {name: [definition["name"] for definition in definitions[name]] for name in DEFINITION_LISTS}
    return {name: names for name, names in lists.items() if names}


def _state(state: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: state[name] for name in ("method", "name", "launcherSpec") if name in state}
    if "params" in state:
        shown["params"] = {provider["name"]: _provided(provider["data"]) for provider in state["params"][:_MAX_ITEMS]}
    if "data" in state:
        shown["keys"] = [file["key"] for file in state["data"]]
    return shown


def _provided(data: Mapping[str, Any]) -> Any:
    if data["type"] == "dataset":
        return {"datasetId": data["datasetId"], "datasetKey": data["datasetKey"]}
    return [f"{tensor['type']} {list(tensor['shape'])}" for tensor in data["data"][:_MAX_ITEMS]]
