"""create_model through an MCP client, with the requests that reach Decthings."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
import support
from decthings_mcp.tools.decthings.tensors import TENSOR_TYPES, Media, decode_tensors
from mcp_types import TextContent
from support import CODE, Chat, Upstream, frame, http

pytestmark = pytest.mark.anyio

SNAPSHOT = {"type": "basedOnModelSnapshot", "modelId": "m", "snapshotId": "s"}
LAUNCHER = {"cpus": 0.5, "memoryMebibytes": 512}
DATASET = {"name": "images", "data": {"type": "dataset", "datasetId": "d", "datasetKey": "k"}}
DEFINITION = {"name": "x", "required": True, "rules": {"shape": [-1], "allowedTypes": ["f32"], "annotations": []}}
DEFINITIONS: dict[str, Any] = {"createState": [], "train": [], "evaluateInput": [DEFINITION], "evaluateOutput": []}
TAGS = [{"tag": "type", "value": ""}]


def arguments(options: Any, **members: Any) -> dict[str, Any]:
    return {"name": "n", "description": "d", "options": options, **members}


def from_snapshot(state: Any) -> dict[str, Any]:
    return arguments({**SNAPSHOT, "initialState": state})


def with_params(*params: Any) -> dict[str, Any]:
    return from_snapshot({"method": "create", "name": "s", "params": list(params), "launcherSpec": LAUNCHER})


def with_tensor(tensor: Any) -> dict[str, Any]:
    return with_params({"name": "p", "data": {"type": "data", "data": [tensor]}})


@pytest.mark.parametrize(
    "given",
    [
        arguments({"type": "code", "language": "rust"}),
        arguments({"type": "code", "language": "go", "preset": "none", "wasm": True, "tags": TAGS,
                   "parameterDefinitions": DEFINITIONS}, publicAccess=False),
        arguments({"type": "fromExisting", "modelId": "m"}),
        arguments({"type": "fromExisting", "modelId": "m", "snapshotId": "s", "tags": []}, publicAccess=True),
        from_snapshot({"method": "copy"}),
        with_params(),
        with_params(DATASET),
        from_snapshot({"method": "create", "name": "s", "params": [], "launcherSpec": {
            **LAUNCHER, "diskMebibytes": 1, "swapMebibytes": 0, "gpus": {"model": "L4", "count": 1}}}),
    ],
)  # fmt: skip
async def test_arguments_without_data_go_out_as_they_are(given: dict[str, Any], chat: Chat, upstream: Upstream) -> None:
    answer = await chat.create(given)
    assert upstream.last_call() == (given, [])
    assert answer["result"] == {"modelId": "m-1", "isNowCreating": False}
    assert "ignored" not in answer


async def test_inline_parameters_become_blobs_and_datasets_stay(chat: Chat, upstream: Upstream) -> None:
    tensor = {"type": "i16", "shape": [2], "data": ["1", "-2"]}
    inline = {"name": "p", "data": {"type": "data", "data": [tensor, tensor]}}
    empty = {"name": "q", "data": {"type": "data", "data": []}}
    await chat.create(with_params(inline, DATASET, empty))
    params, blobs = upstream.last_call()
    assert params["options"]["initialState"]["params"] == [{"name": "p"}, DATASET, {"name": "q"}]
    assert [[t.elements for t in decode_tensors(blob)] for blob in blobs] == [[[1, -2], [1, -2]], []]


async def test_state_files_become_blobs_by_key_with_receipts(chat: Chat, upstream: Upstream, tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(b"weights")
    files = [{"key": "w", "data": {"path": "w.bin"}}, {"key": "é", "data": {"base64": ""}}]
    answer = await chat.create(from_snapshot({"method": "upload", "name": "s", "data": files}))
    params, blobs = upstream.last_call()
    assert params["options"]["initialState"] == {"method": "upload", "name": "s", "stateKeyNames": ["w", "é"]}
    assert blobs == [b"weights", b""]
    assert answer["uploads"] == [
        {"key": "w", "bytes": 7, "sha256": hashlib.sha256(b"weights").hexdigest()},
        {"key": "é", "bytes": 0, "sha256": hashlib.sha256(b"").hexdigest()},
    ]


async def test_a_model_file_is_sent_with_a_receipt_of_it(
    chat: Chat, upstream: Upstream, tmp_path: Path, onnx_file: bytes
) -> None:
    (tmp_path / "m.onnx").write_bytes(onnx_file)
    answer = await chat.create(arguments({"type": "upload", "format": "onnx", "data": {"path": "m.onnx"}}))
    params, blobs = upstream.last_call()
    assert params == arguments({"type": "upload", "format": "onnx"})
    assert blobs == [onnx_file]
    assert answer["upload"] == {"bytes": len(onnx_file), "sha256": hashlib.sha256(onnx_file).hexdigest()}


@pytest.mark.parametrize("prefix", ["", "data:application/octet-stream;base64,"])
async def test_a_small_model_can_be_given_as_base64(
    prefix: str, chat: Chat, upstream: Upstream, onnx_file: bytes
) -> None:
    data = {"base64": prefix + base64.b64encode(onnx_file).decode()}
    await chat.create(arguments({"type": "upload", "format": "onnx", "data": data}))
    assert upstream.last_call()[1] == [onnx_file]


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
async def test_what_is_meant_is_read(
    given: dict[str, Any], meant: dict[str, Any], chat: Chat, upstream: Upstream
) -> None:
    await chat.create(given)
    as_given = upstream.last_call()
    await chat.create(meant)
    assert as_given == upstream.last_call()
    assert len(upstream.requests) == 2


async def test_members_filled_in_by_rote_are_left_out_and_named(chat: Chat, upstream: Upstream) -> None:
    strict_mode = {
        "type": "fromExisting", "language": "go", "preset": "", "wasm": False, "format": "", "data": {"path": ""},
        "modelId": "m", "snapshotId": "", "tags": [],
        "initialState": {"method": "copy", "name": "", "params": [], "launcherSpec": {"cpus": 0, "memoryMebibytes": 0}},
        "parameterDefinitions": {"createState": [], "train": [], "evaluateInput": [], "evaluateOutput": []},
    }  # fmt: skip
    answer = await chat.create(arguments(strict_mode))
    assert upstream.last_call()[0] == arguments({"type": "fromExisting", "modelId": "m", "tags": []})
    assert answer["ignored"] == ["options.initialState", "options.language", "options.wasm"]


async def test_members_of_another_method_are_left_out_too(chat: Chat, upstream: Upstream) -> None:
    answer = await chat.create(from_snapshot({"method": "copy", "name": "", "launcherSpec": LAUNCHER, "data": []}))
    assert upstream.last_call()[0] == from_snapshot({"method": "copy"})
    assert answer["ignored"] == ["options.initialState.launcherSpec"]


async def test_all_elements_of_all_types_reach_the_wire(chat: Chat, upstream: Upstream, tmp_path: Path) -> None:
    (tmp_path / "cat.JPEG").write_bytes(b"cat")
    png = "data:image/png;base64," + base64.b64encode(b"dog").decode()
    cases: dict[str, tuple[list[Any], list[Any]]] = {
        "i64": (["-9223372036854775808", 9223372036854775807, "3.0"], [-(2**63), 2**63 - 1, 3]),
        "u64": (["18446744073709551615"], [2**64 - 1]),
        "f32": (["1.5", "-Infinity", "1e3", "inf"], [1.5, float("-inf"), 1000.0, float("inf")]),
        "boolean": (["true", "FALSE", 1, "0", True], [True, False, True, False, True]),
        "string": (["", "åäö", "true"], ["", "åäö", "true"]),
        "binary": (["file:cat.JPEG", {"base64": "AA=="}, "data:,a%20b"], [b"cat", b"\0", b"a b"]),
        "image": (["file:cat.JPEG", png, {"base64": "AA==", "format": "bmp"}, {"path": "cat.JPEG", "format": "jpg"}],
                  [("jpg", b"cat"), ("png", b"dog"), ("bmp", b"\0"), ("jpg", b"cat")]),
        "audio": ([{"base64": "data:audio/x-wav;base64,AA=="}], [("wav", b"\0")]),
    }  # fmt: skip
    link = f"file://{tmp_path}/cat.JPEG"
    cases["video"] = ([link, link.replace("//", "//localhost", 1), {"path": link}], [("jpg", b"cat")] * 3)
    for type_, (given, expected) in cases.items():
        await chat.create(with_tensor({"type": type_, "shape": [len(given)], "data": given}))
        (tensor,) = decode_tensors(upstream.last_call()[1][0])
        elements = [(e.format, e.data) if isinstance(e, Media) else e for e in tensor.elements]
        assert (tensor.type, elements) == (type_, expected)


def problem(path: str, about: str, **more: Any) -> dict[str, Any]:
    return {"path": path, "problem": about, **more}


LANGUAGES = ["go", "javascript", "typescript", "python", "rust"]
OPTIONS = [
    "type",
    "language",
    "preset",
    "wasm",
    "format",
    "data",
    "modelId",
    "snapshotId",
    "initialState",
    "tags",
    "parameterDefinitions",
]
TYPES = ["code", "upload", "basedOnModelSnapshot", "fromExisting"]
WRONG: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "nothing": ({}, [
        problem("name", "is missing; it is required"),
        problem("description", "is missing; it is required (What the model does)"),
        problem("options", "is missing; it is required", allowed=OPTIONS),
    ]),
    "a name that looks like a tag": (
        {**arguments(CODE), "<x>": "payload"},
        [problem("<x>", "is not a known name", allowed=["name", "description", "publicAccess", "options"])],
    ),
    "a format that is missing": (
        arguments({"type": "upload", "data": {"base64": "AA=="}}),
        [problem("options.format", 'is missing; type "upload" needs it (For upload: onnx, tflite)')],
    ),
    "a type of elements that there is not": (
        arguments({**CODE, "parameterDefinitions": {"evaluateInput": [
            {"name": "x", "rules": {"shape": [], "allowedTypes": ["F32"]}}]}}),
        [problem("options.parameterDefinitions.evaluateInput[0].rules.allowedTypes[0]", "is not a possible value",
                 allowed=list(TENSOR_TYPES), nearest="f32")],
    ),
    "too many state files": (
        from_snapshot({"method": "upload", "name": "s", "data": [
            {"key": str(i), "data": {"base64": "AA=="}} for i in range(256)]}),
        [problem("options.initialState.data", "has 256 files, and one call carries at most 255")],
    ),
    "too many inline parameters": (
        with_params(*[{"name": str(i), "data": []} for i in range(256)]),
        [problem("options.initialState.params",
                 "has 256 parameters with data of their own, and one call carries at most 255")],
    ),
    "a URL for a file": (
        arguments({"type": "upload", "format": "onnx", "data": {"path": "https://example.com/m.onnx"}}),
        [problem("options.data", "is a URL, and nothing is fetched from the network; "
                                 "name a file on the server's machine")],
    ),
    "a word in another case": (
        arguments({"type": "code", "language": "Python"}),
        [problem("options.language", "is not a possible value", allowed=LANGUAGES, nearest="python")],
    ),
    "a name in another case": (
        arguments({"type": "fromExisting", "modelID": "m"}),
        [problem("options.modelId", 'is missing; type "fromExisting" needs it (Source model)'),
         problem("options.modelID", "is not a known name",
                 allowed=["type", "modelId", "snapshotId", "tags"], nearest="modelId")],
    ),
    "no type": (arguments({"tags": []}), [problem("options.type", "is missing; it is required", allowed=TYPES)]),
    "an unknown type": (
        arguments({"type": "from_existing"}),
        [problem("options.type", "is not a possible value", allowed=TYPES, nearest="fromExisting")],
    ),
    "a type that is no text": (
        arguments({"type": 7}), [problem("options.type", "has to be a text, and is a whole number", allowed=TYPES)]),
    "another type's text": (
        arguments({**CODE, "format": "onnx"}),
        [problem("options.format",
                 'does not belong to type "code", only to "upload": leave it out, or change type')],
    ),
    "several at once": (
        {"name": 7, "description": "d", "publicAccess": "maybe",
         "options": {**CODE, "language": 1, "tags": [{"tag": "t"}]}},
        [problem("name", "has to be a text, and is a whole number"),
         problem("publicAccess", "has to be true or false, and is a text"),
         problem("options.tags[0].value", "is missing; it is required"),
         problem("options.language", "has to be a text, and is a whole number", allowed=LANGUAGES)],
    ),
    "options that are no object": (
        arguments("code"), [problem("options", "has to be an object, and is a text", allowed=OPTIONS)]),
    "a member in two places": (
        arguments({**CODE}, language="rust"),
        [problem("language", "is not a known name", allowed=["name", "description", "publicAccess", "options"])],
    ),
    "an element that does not fit": (
        with_tensor({"type": "u8", "shape": [3], "data": ["1", "2", "300"]}),
        [problem("options.initialState.params[0].data.data[0].data[2]",
                 "does not fit u8 (a whole number from 0 to 255)")],
    ),
    "a shape that does not fit": (
        with_tensor({"type": "u8", "shape": [2, 2], "data": ["1"]}),
        [problem("options.initialState.params[0].data.data[0]",
                 "has the shape [2, 2], which needs 4 elements, and 1 are given")],
    ),
    "a repeated key": (
        from_snapshot({"method": "upload", "name": "s", "data": [
            {"key": "k", "data": {"base64": "AA=="}}, {"key": "k", "data": {"base64": "AA=="}}]}),
        [problem("options.initialState.data[1]", "has the same key as a file before it")],
    ),
    "both path and base64": (
        arguments({"type": "upload", "format": "onnx", "data": {"path": "p", "base64": "AA=="}}),
        [problem("options.data", "needs exactly one of path and base64", allowed=["path", "base64"])],
    ),
    "base64 that is none": (
        arguments({"type": "upload", "format": "onnx", "data": {"base64": "A A="}}),
        [problem("options.data", "is not valid base64, which has no line breaks and is padded; "
                                 "the path of a file cannot be mistyped")],
    ),
    "too much base64": (
        arguments({"type": "upload", "format": "onnx", "data": {"base64": "AAAA" * 90000}}),
        [problem("options.data", "is 270000 bytes, and at most 256 KiB can be given inline; "
                                 "save it as a file and give its path")],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("given", "problems"), WRONG.values(), ids=WRONG)
async def test_every_problem_is_told_and_nothing_is_sent(
    given: dict[str, Any], problems: list[dict[str, Any]], chat: Chat, upstream: Upstream
) -> None:
    answer = await chat.create(given)
    error = answer["error"]
    assert error["problems"] == problems
    assert (error["code"], error["outcome"], error["retryable"]) == ("invalid_arguments", "not_created", False)
    assert upstream.connections == 0


SINGLE_PROBLEMS: list[tuple[Any, str]] = [
    ({"type": "f32", "shape": [1], "data": ["1e39"]}, "does not fit f32"),
    ({"type": "f64", "shape": [1], "data": ["1_0"]}, "does not fit f64"),
    ({"type": "f64", "shape": [1], "data": [True]}, "does not fit f64"),
    ({"type": "i32", "shape": [1], "data": ["1.5"]}, "does not fit i32"),
    ({"type": "i32", "shape": [1], "data": [1.5]}, "does not fit i32"),
    ({"type": "boolean", "shape": [1], "data": ["yes"]}, "does not fit boolean"),
    ({"type": "string", "shape": [1], "data": [1]}, "does not fit string (a text)"),
    ({"type": "f64", "shape": [1], "data": ["1e400"]}, "does not fit f64"),
    ({"type": "f32", "shape": [1], "data": [1e39]}, "does not fit f32"),
    ({"type": "i32", "shape": [4], "data": ["1.5", "x", "2", "y"]}, "and neither do 2 elements behind it"),
    ({"type": "u8", "shape": [1] * 256, "data": ["1"]}, "has 256 dimensions"),
    ({"type": "u8", "shape": [0, 2**70], "data": []}, "64 bits"),
    ({"type": "image", "shape": [1], "data": ["data:text/plain,x"]}, "tells no format"),
    ({"type": "image", "shape": [1], "data": [{"base64": "AA==", "format": "x" * 256}]}, "at most 255 bytes"),
    ({"type": "binary", "shape": [1], "data": ["AA=="]}, 'has to be "file:PATH" or a data: URI'),
    ({"type": "binary", "shape": [1], "data": [1]}, 'has to be {"path"'),
    ({"type": "binary", "shape": [1], "data": [{"Path": "x"}]}, "unknown member; path is meant"),
    ({"type": "binary", "shape": [1], "data": [{"path": 1}]}, "needs a text for path"),
    ({"type": "binary", "shape": [1], "data": ["file:a\0b"]}, "names no file"),
    ({"type": "image", "shape": [1], "data": ["file:cat"]}, "tells no format"),
    (
        {"type": "image", "shape": [1], "data": [{"base64": "AA==", "format": 1}]},
        "needs a text of at most 255 bytes for format",
    ),
    ({"type": "u8", "shape": [-1], "data": []}, "negative dimension"),
    ({"type": "u8", "shape": [1, 2], "data": [[1], [2]]}, "nested lists that do not fit"),
    ({"type": "f16", "shape": [], "data": ["1"]}, "is not a possible value"),
]


@pytest.mark.parametrize(("tensor", "said"), SINGLE_PROBLEMS)
async def test_a_tensor_that_cannot_be_sent_is_told(tensor: Any, said: str, chat: Chat) -> None:
    (found,) = (await chat.create(with_tensor(tensor)))["error"]["problems"]
    assert said in found["problem"]
    assert found["path"].startswith("options.initialState.params[0].data.data[0]")


async def test_too_many_problems_are_counted_and_the_first_are_told(chat: Chat) -> None:
    answer = await chat.create(arguments({**CODE, "tags": [{}] * 500}))
    assert len(answer["error"]["problems"]) == 20
    assert "1000 arguments are wrong" in answer["error"]["message"]


async def test_an_initial_state_in_the_making_is_told(chat: Chat, upstream: Upstream) -> None:
    upstream.reply = frame({"result": {"modelId": "m", "isNowCreating": True}})
    assert "still being made" in (await chat.create(with_params()))["nextStep"]


async def test_hostile_names_and_ids_are_bounded_and_harmless(chat: Chat, upstream: Upstream) -> None:
    document = rb'{"result":{"modelId":"m\ud800\u202e\u0007"}}'
    upstream.reply = http(bytes([len(document)]) + document)
    result = await chat.client.call_tool("create_model", arguments(CODE, name="a\u202eb" + "x" * 1000))
    (block,) = result.content
    assert isinstance(block, TextContent)
    assert (result.structured_content or {})["result"]["modelId"] == "m\ufffd\ufffd\ufffd"
    assert block.text.startswith('Created the model "a\ufffdbxxx')
    assert len(block.text) < 400


async def test_half_of_a_surrogate_pair_is_told_with_its_path(chat: Chat, upstream: Upstream) -> None:
    given = arguments({**CODE, "tags": [{"tag": "t", "value": "\udfff"}]}, name="\ud800")
    problems = (await chat.create(given))["error"]["problems"]
    assert [problem["path"] for problem in problems] == ["name", "options.tags[0].value"]
    assert all("surrogate" in problem["problem"] for problem in problems)
    assert upstream.connections == 0


@pytest.mark.parametrize("said", ["true", None])
async def test_a_model_of_which_it_is_not_said_whether_it_is_ready_is_not_called_ready(
    said: Any, chat: Chat, upstream: Upstream
) -> None:
    upstream.reply = frame({"result": {"modelId": "m", "isNowCreating": said}})
    answer = await chat.create(arguments(CODE))
    assert answer["result"] == {"modelId": "m"}
    assert "did not say" in answer["nextStep"]


async def test_a_crash_is_an_answer_that_leaves_the_outcome_open(
    chat: Chat, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("decthings_mcp.tools.create_model.tool._result", None)
    error = (await chat.create(arguments(CODE)))["error"]
    assert (error["code"], error["outcome"]) == ("internal_error", "unknown")
    assert "TypeError" in caplog.text
    assert "NoneType" not in str(error)


async def test_a_crash_in_one_call_does_not_end_another(
    chat: Chat, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashed, under_way, loop = threading.Event(), asyncio.Event(), asyncio.get_running_loop()

    def wait_for_the_crash(connection: socket.socket, _: support.Request) -> None:
        loop.call_soon_threadsafe(under_way.set)
        assert crashed.wait(10)
        connection.sendall(support.created())

    upstream.reply = wait_for_the_crash
    other = asyncio.create_task(chat.create(arguments(CODE)))
    await under_way.wait()
    monkeypatch.setattr("decthings_mcp.tools.listing.list_params", None)
    assert (await chat("find_models"))["error"]["code"] == "internal_error"
    crashed.set()
    assert (await other)["outcome"] == "created"
