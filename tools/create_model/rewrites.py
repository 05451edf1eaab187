"""The forms that create_model accepts besides those of its schema, rewritten to the schema's form."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..arguments import parameter_definitions as definitions
from ..arguments.parameter_definitions import is_unset, with_default
from ..arguments.reader import Members
from ..decthings.json_codec import is_list, is_object, parse_if_json
from ..decthings.tensors import dimensions_problem
from ..decthings.types import FORMATS, PRESETS
from .schema import INPUT_SCHEMA

_OPTIONS = frozenset(INPUT_SCHEMA["properties"]["options"]["properties"])


def _lift_options(arguments: Any) -> Any:
    """The fields of `options` at the top level: one framework drops any argument of that name."""
    options = parse_if_json(arguments.get("options"))
    if not (is_unset(options) or is_object(options)):
        return arguments
    given = {} if is_unset(options) else options
    loose = {name: value for name, value in arguments.items() if name in _OPTIONS}
    # A field that is in both places with different values stays, and is refused.
    lifted = {n: v for n, v in loose.items() if is_unset(v) or is_unset(given.get(n)) or _same(v, given[n])}
    if not lifted:
        return arguments
    rest = {name: value for name, value in arguments.items() if name not in lifted}
    return {**rest, "options": {**lifted, **{n: v for n, v in given.items() if not (n in lifted and is_unset(v))}}}


def _same(one: Any, other: Any) -> bool:
    return parse_if_json(one) == parse_if_json(other)


def _provider(provider: Any) -> Any:
    """`{name, tensors}`, and the official clients' `{name, data: [tensor, ...]}`."""
    if not is_object(provider):
        return provider
    members = dict(provider)
    if "tensors" in members and is_unset(members.get("data")):
        members["data"] = members.pop("tensors")
    data = parse_if_json(members.get("data"))
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


def _tensor(tensor: Any) -> Any:
    """A string for the data of a string tensor is its one element, unless it is a list of all elements of an array."""
    if not is_object(tensor) or tensor.get("type") != "string" or not isinstance(tensor.get("data"), str):
        return tensor
    shape, listed = parse_if_json(tensor.get("shape")), parse_if_json(tensor["data"])
    plain = is_list(shape) and all(type(n) is int for n in shape) and dimensions_problem(shape) is None
    is_all = bool(plain and shape and is_list(listed) and len(listed) == math.prod(shape))
    return {**tensor, "data": listed if is_all else [tensor["data"]]}


def _autofilled_launcher(launcher: Members) -> list[str]:
    """No disk and no GPU is what a launcher has when they are left out."""
    nothing = {"diskMebibytes": _is_zero, "gpus": _is_no_gpu}
    return [name for name, is_nothing in nothing.items() if is_nothing(launcher.get(name))]


def _is_no_gpu(gpus: Any) -> bool:
    given = parse_if_json(gpus)
    return is_object(given) and (_is_zero(given.get("count")) or not any(given.values()))


def _is_zero(number: Any) -> bool:
    return str(number) in ("0", "0.0")


def _known_value(*known: str) -> Callable[[Any], Any]:
    """A value as Decthings spells it, if it is known; others may be new."""

    def spell(value: Any) -> Any:
        plain = value.strip().lstrip(".").lower() if isinstance(value, str) else value
        return plain if plain in known else value

    return spell


def _initial_state(state: Any) -> Any:
    """A state that is created from no parameters."""
    return _without_params(state) if is_object(state) and state.get("method") == "create" else state


_without_params = with_default("params", [])
_STATE = "options.initialState"

REWRITES: dict[str, Callable[[Any], Any]] = {
    "": _lift_options,
    _STATE: _initial_state,
    f"{_STATE}.params[]": _provider,
    f"{_STATE}.params[].data": _provider_data,
    f"{_STATE}.params[].data.data[]": _tensor,
    "options.format": _known_value(*FORMATS),
    "options.preset": _known_value(*PRESETS),
    **definitions.rewrites("options.parameterDefinitions"),
}

AUTOFILLED = {f"{_STATE}.launcherSpec": _autofilled_launcher}
