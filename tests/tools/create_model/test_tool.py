"""create_model through an MCP client, with the requests that reach Decthings."""

import asyncio
import base64
import hashlib
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
import support
from create_model_arguments import DATASET, DEFINITIONS, LAUNCHER, TAGS, arguments, from_snapshot, with_params
from decthings_mcp.tools.decthings.tensors import decode_tensors
from mcp_types import TextContent
from support import CODE, Chat, Upstream, frame, http_response

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("given", [
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
])  # fmt: skip
async def test_arguments_without_data_go_out_as_they_are(given: dict[str, Any], chat: Chat, upstream: Upstream) -> None:
    answer = await chat.create(given)
    assert upstream.last_call() == (given, [])
    assert answer["result"] == {"modelId": "m-1", "isNowCreating": False}
    assert "ignored" not in answer


async def test_the_result_shows_what_was_made(chat: Chat, upstream: Upstream, tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(b"secret weights")
    answer = await chat.create(arguments({**CODE, "tags": TAGS, "parameterDefinitions": DEFINITIONS}))
    assert answer["model"] == {
        "name": "n", "publicAccess": False, "type": "code", "language": "go", "tags": ["type: "],
        "parameterDefinitions": {"evaluateInput": ["x"]},
    }  # fmt: skip
    tensor = {"type": "i16", "shape": [2], "data": ["1234", "-4321"]}
    answer = await chat.create(with_params(DATASET, {"name": "p", "data": {"type": "data", "data": [tensor]}}))
    state = answer["model"]["initialState"]
    assert (state["method"], state["name"], state["launcherSpec"]) == ("create", "s", LAUNCHER)
    assert state["params"] == {"images": {"datasetId": "d", "datasetKey": "k"}, "p": ["i16 [2]"]}
    assert "1234" not in str(answer)
    files = [{"key": f"key-{number}", "data": {"path": "w.bin"}} for number in range(100)]
    answer = await chat.create(from_snapshot({"method": "upload", "name": "s", "data": files}))
    assert answer["model"]["initialState"]["keys"][-1] == "… and 80 more"
    assert "secret weights" not in str(answer)


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


async def test_a_model_file_has_a_receipt(chat: Chat, upstream: Upstream, tmp_path: Path, onnx_file: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(onnx_file)
    answer = await chat.create(arguments({"type": "upload", "format": "onnx", "data": {"path": "m.onnx"}}))
    params, blobs = upstream.last_call()
    assert params == arguments({"type": "upload", "format": "onnx"})
    assert blobs == [onnx_file]
    assert answer["upload"] == {"bytes": len(onnx_file), "sha256": hashlib.sha256(onnx_file).hexdigest()}


@pytest.mark.parametrize("prefix", ["", "data:application/octet-stream;base64,"])
async def test_a_small_model_may_be_base64(prefix: str, chat: Chat, upstream: Upstream, onnx_file: bytes) -> None:
    data = {"base64": prefix + base64.b64encode(onnx_file).decode()}
    await chat.create(arguments({"type": "upload", "format": "onnx", "data": data}))
    assert upstream.last_call()[1] == [onnx_file]


async def test_create_model_reports_a_state_in_progress(chat: Chat, upstream: Upstream) -> None:
    upstream.reply = frame({"result": {"modelId": "m", "isNowCreating": True}})
    assert "still being made" in (await chat.create(with_params()))["nextStep"]


async def test_hostile_names_and_ids_are_bounded_and_harmless(chat: Chat, upstream: Upstream) -> None:
    document = rb'{"result":{"modelId":"m\ud800\u202e\u0007"}}'
    upstream.reply = http_response(bytes([len(document)]) + document)
    result = await chat.client.call_tool("create_model", arguments(CODE, name="a\u202eb" + "x" * 1000))
    (block,) = result.content
    assert isinstance(block, TextContent)
    assert (result.structured_content or {})["result"]["modelId"] == "m\ufffd\ufffd\ufffd"
    assert block.text.startswith('Created the model "a\ufffdbxxx')
    assert len(block.text) < 600


@pytest.mark.parametrize("ready", ["true", None])
async def test_a_model_of_unknown_readiness_is_not_called_ready(ready: Any, chat: Chat, upstream: Upstream) -> None:
    upstream.reply = frame({"result": {"modelId": "m", "isNowCreating": ready}})
    answer = await chat.create(arguments(CODE))
    assert answer["result"] == {"modelId": "m"}
    assert "did not say" in answer["nextStep"]


async def test_a_crash_leaves_the_outcome_open(
    chat: Chat, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("decthings_mcp.tools.create_model.tool.created_result", None)
    error = (await chat.create(arguments(CODE)))["error"]
    assert (error["code"], error["outcome"]) == ("internal_error", "unknown")
    assert "TypeError" in caplog.text
    assert "NoneType" not in str(error)


async def test_a_crash_spares_other_calls(chat: Chat, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    crashed, started, loop = threading.Event(), asyncio.Event(), asyncio.get_running_loop()

    def wait_for_the_crash(_: socket.socket, __: support.Request) -> bytes:
        loop.call_soon_threadsafe(started.set)
        assert crashed.wait(30)
        return support.created()

    upstream.reply = wait_for_the_crash
    other = asyncio.create_task(chat.create(arguments(CODE)))
    await started.wait()
    monkeypatch.setattr("decthings_mcp.tools.listing.list_params", None)
    assert (await chat("find_models"))["error"]["code"] == "internal_error"
    crashed.set()
    assert (await other)["outcome"] == "created"


async def test_an_upload_suggests_inspect_model_file(sandbox_chat: Chat, tmp_path: Path, onnx_file: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(onnx_file)
    options = {"type": "upload", "format": "onnx", "data": {"path": "m.onnx"}}
    answer = await sandbox_chat("create_model", name="n", description="d", options=options)
    assert "inspect_model_file" in answer["nextStep"]
