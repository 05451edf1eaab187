"""Whole chats over stdio: every tool, at both revisions, with a client that can ask the user and one that cannot."""

from pathlib import Path

import pytest
import support
from decthings_mcp.server.sandbox.seed import DATASET_ID
from mcp import Client
from support import CREATE_STATE, YES, Chat, User

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.usefixtures("quick_creations")]

DATASET = {"name": "images", "data": {"type": "dataset", "datasetId": DATASET_ID, "datasetKey": "image"}}


@pytest.mark.parametrize("mode", ["legacy", "auto"])
@pytest.mark.parametrize("can_ask", [True, False])
async def test_a_whole_chat_uses_every_tool(
    can_ask: bool, mode: str, tmp_path: Path, sandbox_url: str, onnx_file: bytes
) -> None:
    (tmp_path / "m.onnx").write_bytes(onnx_file)
    user = User(YES)
    server = support.stdio("--api-url", sandbox_url, cwd=tmp_path, DECTHINGS_API_KEY=support.KEY)
    async with Client(server, mode=mode, elicitation_callback=user if can_ask else None) as client:
        chat = Chat(client)
        assert (await chat("find_models"))["total"] == 1
        definitions = (await chat("inspect_model_file", path="m.onnx"))["parameterDefinitions"]
        upload = {"type": "upload", "format": "onnx", "data": {"path": "m.onnx"}, "parameterDefinitions": definitions}
        first = (await chat("create_model", name="first", description="d", options=upload))["result"]["modelId"]
        evaluated = await chat("evaluate_model", modelId=first, compareWithFile="m.onnx")
        assert evaluated["comparison"]["same"] is True
        snapshot = (await chat("snapshot_model", modelId=first, snapshotName="v1"))["result"]["snapshotId"]

        assert (await chat("find_datasets"))["datasets"][0]["id"] == DATASET_ID
        params = {**CREATE_STATE, "params": [DATASET]}
        based = {"type": "basedOnModelSnapshot", "modelId": first, "snapshotId": snapshot, "initialState": params}
        (problem,) = (await chat("create_model", name="second", description="d", options=based))["error"]["problems"]
        assert problem["path"] == "options.initialState.params[0].name"
        based["initialState"] = {**CREATE_STATE, "params": []}
        second = (await chat("create_model", name="second", description="d", options=based))["result"]["modelId"]
        assert (await chat("wait_for_model", modelId=second))["state"] == "ready"
        (model,) = (await chat("find_models", ids=[second], detail=True))["models"]
        assert model["parameterDefinitions"] == definitions
        assert model["basedOnSnapshot"]["snapshotId"] == snapshot

        tags = [{"tag": "sandbox-fail", "value": "oom"}]
        assert "result" in await chat("update_model", modelId=first, tags=tags, publicAccess=True)
        third = (await chat("create_model", name="third", description="d", options=based))["result"]["modelId"]
        failed = await chat("wait_for_model", modelId=third)
        assert (failed["state"], failed["failure"]["oom"], "error" in failed) == ("failed", True, False)

        for model_id, name in ((third, "third"), (second, "second"), (first, "first")):
            assert "result" in await chat("delete_model", modelId=model_id, confirmName=name)
        assert (await chat("find_models"))["total"] == 1
    assert len(user.questions) == (4 if can_ask else 0)
