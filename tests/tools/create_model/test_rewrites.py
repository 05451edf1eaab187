"""Arguments in other forms than the schema has are read as what they mean."""

from __future__ import annotations

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
from support import Chat, Upstream

pytestmark = pytest.mark.anyio

TENSOR = {"type": "f64", "shape": [2, 2], "data": ["1", "2", "3", "4"]}

GENEROUS = {
    "options as text": (arguments('{"type": "code", "language": "go"}'), arguments({"type": "code", "language": "go"})),
    "text within text": (
        arguments(json.dumps({"type": "code", "language": "go", "tags": json.dumps(TAGS)})),
        arguments({"type": "code", "language": "go", "tags": TAGS}),
    ),
    "null and empty": (
        arguments({"type": "code", "language": "go", "preset": None, "wasm": "", "tags": None, "snapshotId": "",
                   "initialState": {}, "data": {}, "parameterDefinitions": {}}, publicAccess=None),
        arguments({"type": "code", "language": "go"}),
    ),
    "options at the top level": (
        {"name": "n", "description": "d", "type": "code", "language": "go", "tags": TAGS},
        arguments({"type": "code", "tags": TAGS, "language": "go"}),
    ),
    "some options at the top level": (
        arguments('{"type": "code"}', language="go"), arguments({"type": "code", "language": "go"})),
    "definitions with defaults": (
        arguments({"type": "code", "language": "go", "parameterDefinitions": {
            "train": None, "evaluateInput": {"name": "x", "rules": {"shape": -1, "allowedTypes": "f32"}}}}),
        arguments({"type": "code", "language": "go", "parameterDefinitions": DEFINITIONS}),
    ),
    "numbers as texts": (
        from_snapshot({"method": "create", "name": "s", "params": "[]", "launcherSpec": {
            "cpus": "0.5", "memoryMebibytes": 512.0, "gpus": {"model": "", "count": 0}}}),
        with_params(),
    ),
    "clients' form of a provider": (
        with_params({"name": "p", "data": [TENSOR]}), with_tensor(TENSOR)),
    "tensors for data": (with_params({"name": "p", "tensors": [TENSOR]}), with_tensor(TENSOR)),
    "tensors within data": (
        with_params({"name": "p", "data": {"type": "data", "tensors": [TENSOR]}}), with_tensor(TENSOR)),
    "a bare tensor": (with_params({"name": "p", "data": TENSOR}), with_tensor(TENSOR)),
    "a type that goes without saying": (
        with_params({"name": "images", "data": {"datasetId": "d", "datasetKey": "k", "data": []}}),
        with_params(DATASET),
    ),
    "numbers as elements": (with_tensor({**TENSOR, "data": [1, 2.0, 3, 4]}), with_tensor(TENSOR)),
    "nested elements": (with_tensor({**TENSOR, "data": [[1, 2], ["3", 4]]}), with_tensor(TENSOR)),
    "elements as text": (with_tensor({**TENSOR, "data": "[[1, 2], [3, 4]]"}), with_tensor(TENSOR)),
    "empty and null beside the real thing": (
        {"name": "n", "description": "d", "language": "go", "wasm": None,
         "options": {"type": "code", "language": "", "preset": None, "wasm": True}},
        arguments({"type": "code", "language": "go", "wasm": True}),
    ),
    "the same in both places": (
        arguments({"type": "code", "language": "go", "tags": TAGS}, tags=json.dumps(TAGS), language="go"),
        arguments({"type": "code", "language": "go", "tags": TAGS}),
    ),
    "objects for lists, and empty ones": (
        arguments({"type": "code", "language": "go", "tags": {}, "parameterDefinitions": {"evaluateInput": [
            {"name": "x", "required": "", "rules": {"shape": [-1], "allowedTypes": ["f32"], "annotations": {}}}]}}),
        arguments({"type": "code", "language": "go", "parameterDefinitions": DEFINITIONS}),
    ),
    "empty definitions and a launcher by rote": (
        from_snapshot({"method": "create", "name": "s", "params": {}, "launcherSpec": {
            "cpus": "0.5", "memoryMebibytes": "512.0", "diskMebibytes": 0, "gpus": {"model": "none", "count": 0}}}),
        with_params(),
    ),
    "tensors beside empty data": (
        with_params({"name": "p", "data": None, "tensors": [TENSOR]}), with_tensor(TENSOR)),
    "known words in another case": (
        arguments({"type": "code", "language": "go", "preset": "PyTorch"}),
        arguments({"type": "code", "language": "go", "preset": "pytorch"}),
    ),
    "a text that is a list": (
        with_tensor({"type": "string", "shape": [], "data": "[1,2]"}),
        with_tensor({"type": "string", "shape": [], "data": ["[1,2]"]}),
    ),
    "a list that is a text": (
        with_tensor({"type": "string", "shape": [2], "data": '["a", "b"]'}),
        with_tensor({"type": "string", "shape": [2], "data": ["a", "b"]}),
    ),
    "an empty text": (
        with_tensor({"type": "string", "shape": [1], "data": ""}),
        with_tensor({"type": "string", "shape": [1], "data": [""]}),
    ),
    "media in many forms": (
        with_tensor({"type": "image", "shape": [4], "data": [
            {"base64": "AA==", "path": "", "format": "png"}, '{"base64": "AA==", "format": "png"}',
            "DATA:image/png; charset=x; BASE64,AA==", 'data:image/png;x="a,b";base64,AA==']}),
        with_tensor({"type": "image", "shape": [4], "data": ["data:image/png;base64,AA=="] * 4}),
    ),
    "a format where there is none": (
        with_tensor({"type": "binary", "shape": [1], "data": [{"base64": "AA==", "format": "bin"}]}),
        with_tensor({"type": "binary", "shape": [1], "data": ["data:,%00"]}),
    ),
    "a single element": (
        with_tensor({"type": "boolean", "shape": [], "data": True}),
        with_tensor({"type": "boolean", "shape": [], "data": ["true"]}),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("given", "meant"), GENEROUS.values(), ids=GENEROUS)
async def test_arguments_in_other_forms_are_read(
    given: dict[str, Any], meant: dict[str, Any], chat: Chat, upstream: Upstream
) -> None:
    await chat.create(given)
    as_given = upstream.last_call()
    await chat.create(meant)
    assert as_given == upstream.last_call()
    assert len(upstream.requests) == 2


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
