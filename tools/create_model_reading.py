"""The forms that create_model understands beside its schema, put into the schema's form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .create_model_schema import INPUT_SCHEMA
from .decthings.json_values import is_list, is_object, parsed

_OPTIONS = frozenset(INPUT_SCHEMA["properties"]["options"]["properties"])
_DEFINITIONS = ("createState", "train", "evaluateInput", "evaluateOutput")


def _lift_options(arguments: Any) -> Any:
    """The members of `options` at the top level: one framework drops any argument of that name."""
    options = parsed(arguments.get("options"))
    given = options if is_object(options) else {}
    # A member that stands in both places with different values stays, and is refused.
    loose = {n: v for n, v in arguments.items() if n in _OPTIONS and given.get(n, v) == v}
    if not loose or not (options is None or options == "" or is_object(options)):
        return arguments
    rest = {name: value for name, value in arguments.items() if name not in loose}
    return {**rest, "options": {**loose, **given}}


def _provider(provider: Any) -> Any:
    """`{name, tensors}`, and the official clients' `{name, data: [tensor, ...]}`."""
    if not is_object(provider):
        return provider
    members = dict(provider)
    if "tensors" in members and "data" not in members:
        members["data"] = members.pop("tensors")
    data = parsed(members.get("data"))
    if is_list(data):
        members["data"] = {"type": "data", "data": data}
    elif is_object(data) and "shape" in data:
        members["data"] = {"type": "data", "data": [data]}
    return members


def _provider_data(data: Any) -> Any:
    if not is_object(data):
        return data
    members = dict(data)
    if "tensors" in members and not members.get("data"):
        members["data"] = members.pop("tensors")
    if not members.get("type"):
        members["type"] = "dataset" if members.get("datasetId") else "data" if "data" in members else None
    return members


def _definitions(definitions: Any) -> Any:
    """Lists that are left out are empty, unless all of them are."""
    if not is_object(definitions):
        return definitions
    missing: dict[str, Any] = {name: [] for name in _DEFINITIONS if definitions.get(name) in (None, "", {})}
    return {} if len(missing) == len(_DEFINITIONS) else {**definitions, **missing}


def _filled(name: str, value: Any) -> Callable[[Any], Any]:
    """A member that has a default."""

    def fill(members: Any) -> Any:
        return {**members, name: value} if is_object(members) and members.get(name) is None else members

    return fill


def _gpus(gpus: Any) -> Any:
    """No model and no count, as strict mode fills it in, is no GPU."""
    return {} if is_object(gpus) and not any(gpus.values()) else gpus


_STATE = "options.initialState"
_DEFINED = [f"options.parameterDefinitions.{name}[]" for name in _DEFINITIONS]

REWRITES: dict[str, Callable[[Any], Any]] = {
    "": _lift_options,
    f"{_STATE}.params[]": _provider,
    f"{_STATE}.params[].data": _provider_data,
    f"{_STATE}.launcherSpec.gpus": _gpus,
    "options.parameterDefinitions": _definitions,
    **dict.fromkeys(_DEFINED, _filled("required", True)),
    **{f"{path}.rules": _filled("annotations", []) for path in _DEFINED},
}
