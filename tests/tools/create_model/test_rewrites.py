"""Arguments in other forms than the schema has are read as what they mean."""

import base64
import json
from typing import Any

import pytest
from create_model_arguments import (
    DATASET,
    DEFINITIONS,
    LAUNCHER,
    TAGS,
    arguments,
    from_snapshot,
    with_params,
    with_tensor,
)
from support import CODE, Chat, Upstream

pytestmark = pytest.mark.anyio

LONG_BASE64 = base64.b64encode(bytes(range(48, 96))).decode()
"""Without padding, and too long and mixed for a path."""

TENSOR = {"type": "f64", "shape": [2, 2], "data": ["1", "2", "3", "4"]}

GENEROUS = {
    "options as a string": (arguments('{"type": "code", "language": "go"}'), arguments(CODE)),
    "a string within a string": (arguments(json.dumps({**CODE, "tags": json.dumps(TAGS)})),
        arguments({**CODE, "tags": TAGS})),
    "null and empty": (
        arguments({**CODE, "preset": None, "wasm": "", "tags": None, "snapshotId": "",
                   "initialState": {}, "data": {}, "parameterDefinitions": {}}, publicAccess=None),
        arguments(CODE)),
    "options at the top level": ({"name": "n", "description": "d", "type": "code", "language": "go", "tags": TAGS},
        arguments({"type": "code", "tags": TAGS, "language": "go"})),
    "some options at the top level": (arguments('{"type": "code"}', language="go"), arguments(CODE)),
    "definitions with defaults": (
        arguments({**CODE, "parameterDefinitions": {
            "train": None, "evaluateInput": {"name": "x", "rules": {"shape": -1, "allowedTypes": "f32"}}}}),
        arguments({**CODE, "parameterDefinitions": DEFINITIONS})),
    "numbers as strings": (
        from_snapshot({"method": "create", "name": "s", "params": "[]", "launcherSpec": {
            "cpus": "0.5", "memoryMebibytes": 512.0, "gpus": {"model": "", "count": 0}}}),
        with_params()),
    "clients' form of a provider": (with_params({"name": "p", "data": [TENSOR]}), with_tensor(TENSOR)),
    "tensors for data": (with_params({"name": "p", "tensors": [TENSOR]}), with_tensor(TENSOR)),
    "tensors within data": (with_params({"name": "p", "data": {"type": "data", "tensors": [TENSOR]}}),
        with_tensor(TENSOR)),
    "a bare tensor": (with_params({"name": "p", "data": TENSOR}), with_tensor(TENSOR)),
    "a type that goes without saying": (
        with_params({"name": "images", "data": {"datasetId": "d", "datasetKey": "k", "data": []}}),
        with_params(DATASET)),
    "numbers as elements": (with_tensor({**TENSOR, "data": [1, 2.0, 3, 4]}), with_tensor(TENSOR)),
    "nested elements": (with_tensor({**TENSOR, "data": [[1, 2], ["3", 4]]}), with_tensor(TENSOR)),
    "elements as a string": (with_tensor({**TENSOR, "data": "[[1, 2], [3, 4]]"}), with_tensor(TENSOR)),
    "empty and null next to the real thing": (
        {"name": "n", "description": "d", "language": "go", "wasm": None,
         "options": {"type": "code", "language": "", "preset": None, "wasm": True}},
        arguments({**CODE, "wasm": True})),
    "the same in both places": (arguments({**CODE, "tags": TAGS}, tags=json.dumps(TAGS), language="go"),
        arguments({**CODE, "tags": TAGS})),
    "objects for lists, and empty ones": (
        arguments({**CODE, "tags": {}, "parameterDefinitions": {"evaluateInput": [
            {"name": "x", "required": "", "rules": {"shape": [-1], "allowedTypes": ["f32"], "annotations": {}}}]}}),
        arguments({**CODE, "parameterDefinitions": DEFINITIONS})),
    "empty definitions and a launcher by rote": (
        from_snapshot({"method": "create", "name": "s", "params": {}, "launcherSpec": {
            "cpus": "0.5", "memoryMebibytes": "512.0", "diskMebibytes": 0, "gpus": {"model": "none", "count": 0}}}),
        with_params()),
    "tensors next to empty data": (with_params({"name": "p", "data": None, "tensors": [TENSOR]}), with_tensor(TENSOR)),
    "known words in another case": (arguments({**CODE, "preset": "PyTorch"}),
        arguments({**CODE, "preset": "pytorch"})),
    "a string that looks like a list": (with_tensor({"type": "string", "shape": [], "data": "[1,2]"}),
        with_tensor({"type": "string", "shape": [], "data": ["[1,2]"]})),
    "a string that looks like a list of itself": (with_tensor({"type": "string", "shape": [], "data": '["cat"]'}),
        with_tensor({"type": "string", "shape": [], "data": ['["cat"]']})),
    "an integer with decimals": (
        from_snapshot({"method": "create", "name": "s", "params": [], "launcherSpec": {
            **LAUNCHER, "swapMebibytes": "9007199254740991.0"}}),
        from_snapshot({"method": "create", "name": "s", "params": [], "launcherSpec": {
            **LAUNCHER, "swapMebibytes": 9007199254740991}})),
    "a list as a string": (with_tensor({"type": "string", "shape": [2], "data": '["a", "b"]'}),
        with_tensor({"type": "string", "shape": [2], "data": ["a", "b"]})),
    "an empty string": (with_tensor({"type": "string", "shape": [1], "data": ""}),
        with_tensor({"type": "string", "shape": [1], "data": [""]})),
    "media in many forms": (
        with_tensor({"type": "image", "shape": [4], "data": [
            {"base64": "AA==", "path": "", "format": "png"}, '{"base64": "AA==", "format": "png"}',
            "DATA:image/png; charset=x; BASE64,AA==", 'data:image/png;x="a,b";base64,AA==']}),
        with_tensor({"type": "image", "shape": [4], "data": ["data:image/png;base64,AA=="] * 4})),
    "a format where there is none": (
        with_tensor({"type": "binary", "shape": [1], "data": [{"base64": "AA==", "format": "bin"}]}),
        with_tensor({"type": "binary", "shape": [1], "data": ["data:;base64,AA=="]})),
    "base64 that can be nothing else": (with_tensor({"type": "binary", "shape": [2], "data": ["AA==", LONG_BASE64]}),
        with_tensor({"type": "binary", "shape": [2], "data": ["data:;base64,AA==", f"data:;base64,{LONG_BASE64}"]})),
    "infinities": (with_tensor({**TENSOR, "data": ["∞", "-∞", "Infinity", "-inf"]}),
        with_tensor({**TENSOR, "data": ["inf", "-inf", "inf", "-inf"]})),
    "a single element": (with_tensor({"type": "boolean", "shape": [], "data": True}),
        with_tensor({"type": "boolean", "shape": [], "data": ["true"]})),
}  # fmt: skip


@pytest.mark.parametrize(("given", "meant"), GENEROUS.values(), ids=GENEROUS)
async def test_arguments_in_other_forms_are_read(
    given: dict[str, Any], meant: dict[str, Any], chat: Chat, upstream: Upstream
) -> None:
    await chat.create(given)
    as_given = upstream.last_call()
    await chat.create(meant)
    assert as_given == upstream.last_call()
    created = [request for request in upstream.requests if request.path.endswith("createModel")]
    assert len(created) == 2


async def test_autofilled_fields_are_left_out_and_named(chat: Chat, upstream: Upstream) -> None:
    strict_mode = {
        "type": "fromExisting", "language": "go", "preset": "", "wasm": False, "format": "", "data": {"path": ""},
        "modelId": "m", "snapshotId": "", "tags": [],
        "initialState": {"method": "copy", "name": "", "params": [], "launcherSpec": {"cpus": 0, "memoryMebibytes": 0}},
        "parameterDefinitions": {"createState": [], "train": [], "evaluateInput": [], "evaluateOutput": []},
    }  # fmt: skip
    answer = await chat.create(arguments(strict_mode))
    assert upstream.last_call()[0] == arguments({"type": "fromExisting", "modelId": "m", "tags": []})
    assert answer["ignored"] == ["options.initialState", "options.language", "options.wasm"]


async def test_fields_of_another_method_are_left_out(chat: Chat, upstream: Upstream) -> None:
    answer = await chat.create(from_snapshot({"method": "copy", "name": "", "launcherSpec": LAUNCHER, "data": []}))
    assert upstream.last_call()[0] == from_snapshot({"method": "copy"})
    assert answer["ignored"] == ["options.initialState.launcherSpec"]


async def test_a_launcher_without_disk_and_gpu_names_what_was_left_out(chat: Chat, upstream: Upstream) -> None:
    launcher = {**LAUNCHER, "diskMebibytes": 0, "gpus": {"model": "none", "count": 0}}
    answer = await chat.create(from_snapshot({"method": "create", "name": "s", "params": [], "launcherSpec": launcher}))
    assert upstream.last_call()[0] == with_params()
    place = "options.initialState.launcherSpec"
    assert answer["ignored"] == [f"{place}.diskMebibytes", f"{place}.gpus"]
