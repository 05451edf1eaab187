"""Checks the parameters of a new state against what the source model's snapshot says that it takes.

Decthings would say the same, but only minutes later, when the model exists and its creation has failed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import anyio

from ..arguments.limits import MAX_PROBLEMS
from ..arguments.validation import count_wrong, describe
from ..decthings import DecthingsClient, DecthingsError
from ..decthings.json_codec import is_list, is_object
from ..results.errors import InvalidArguments, Problem
from ..results.text import objects_in, sanitize, sanitize_json

_SECONDS = 3.0
_MAX_NAMES = 50
_PATH = ("options", "initialState", "params")


async def check_params(options: Mapping[str, Any], client: DecthingsClient) -> None:
    """Nothing is checked when the source cannot be read: that may pass, and Decthings has the last word.

    Raises:
        InvalidArguments: a parameter has an unknown name or a type that is not allowed, or a required one is missing.
    """
    if options["type"] != "basedOnModelSnapshot" or options["initialState"]["method"] != "create":
        return
    definitions = await _create_state_definitions(options["modelId"], options["snapshotId"], client)
    if definitions is None:
        return
    params = options["initialState"]["params"]
    problems = [problem for index, param in enumerate(params) for problem in _problems(index, param, definitions)]
    given = {param["name"] for param in params}
    missing = [item for name, item in definitions.items() if item.get("required") is True and name not in given]
    if missing:
        problem = describe(list(_PATH), "lacks parameters that the source's createState requires")
        problems.append({**problem, "missing": [_summary(item) for item in missing[:_MAX_NAMES]]})
    if problems:
        raise InvalidArguments(problems[:MAX_PROBLEMS], f"{count_wrong(len(problems))}; nothing was created.")


async def _create_state_definitions(
    model_id: str, snapshot_id: str, client: DecthingsClient
) -> dict[str, dict[str, Any]] | None:
    """The definitions by name; None if they cannot be read, or are not what the API page says."""
    try:
        with anyio.fail_after(_SECONDS):
            models = (await client.get_models({"filter": {"ids": [model_id]}}))["models"]
    except (DecthingsError, TimeoutError):
        return None
    snapshots = [
        snapshot
        for model in models
        for snapshot in objects_in(model.get("snapshots"))
        if (model.get("id"), snapshot.get("id")) == (model_id, snapshot_id)
    ]
    lists = snapshots[0].get("parameterDefinitions") if snapshots else None
    items = lists.get("createState") if is_object(lists) else None
    if not is_list(items) or not all(is_object(item) and isinstance(item.get("name"), str) for item in items):
        return None
    return {item["name"]: item for item in items}


def _problems(index: int, param: Mapping[str, Any], definitions: Mapping[str, dict[str, Any]]) -> list[Problem]:
    definition = definitions.get(param["name"])
    if definition is None:
        known = [sanitize(name, 100) for name in definitions][:_MAX_NAMES]
        problem = "is not a parameter of the source's createState" + ("" if known else ", which has none")
        return [describe([*_PATH, index, "name"], problem, known, param["name"])]
    allowed = _allowed_types(definition)
    if param["data"]["type"] != "data" or not allowed:
        return []
    return [
        describe([*_PATH, index, "data", "data", number, "type"], "is not a type that the source takes", allowed)
        for number, tensor in enumerate(param["data"]["data"])
        if tensor["type"] not in allowed
    ]


def _allowed_types(definition: Mapping[str, Any]) -> list[str]:
    rules = definition.get("rules")
    types: Sequence[Any] = rules["allowedTypes"] if is_object(rules) and is_list(rules.get("allowedTypes")) else []
    return [sanitize(type_, 60) for type_ in types if isinstance(type_, str)]


def _summary(definition: Mapping[str, Any]) -> dict[str, Any]:
    rules = definition.get("rules")
    shape = sanitize_json(rules.get("shape")) if is_object(rules) else None
    return {"name": sanitize(definition["name"], 100), "allowedTypes": _allowed_types(definition), "shape": shape}
