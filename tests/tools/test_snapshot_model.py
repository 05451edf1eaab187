"""snapshot_model on the sandbox, and its outcome when Decthings' response is lost."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import support
from decthings_mcp.server.sandbox.seed import MODEL_ID
from fault_proxy import FAULTS, fault_proxy
from support import Chat, Upstream

pytestmark = pytest.mark.anyio


async def test_create_model_builds_on_a_new_snapshot(sandbox_chat: Chat) -> None:
    model_id = await sandbox_chat.new_model("a")
    taken = await sandbox_chat("snapshot_model", modelId=model_id, snapshotName="v1")
    snapshot = {"modelId": model_id, "snapshotId": taken["result"]["snapshotId"]}
    copy = {"type": "basedOnModelSnapshot", **snapshot, "initialState": {"method": "copy"}}
    assert "result" in await sandbox_chat("create_model", name="b", description="d", options=copy)
    (model,) = (await sandbox_chat("find_models", names=["b"], detail=True))["models"]
    assert model["basedOnSnapshot"] == {**snapshot, "noLongerExists": False}


async def test_a_snapshot_of_a_model_of_others_is_refused(sandbox_chat: Chat) -> None:
    error = (await sandbox_chat("snapshot_model", modelId=MODEL_ID, snapshotName="v2"))["error"]
    assert (error["code"], error["outcome"]) == ("access_denied", "not_done")


@pytest.fixture
async def direct(sandbox_url: str, tmp_path: Path, fast_lookups: None) -> AsyncGenerator[Chat]:
    async with support.connect_chat(Upstream(url=sandbox_url), tmp_path) as chat:
        yield chat


async def test_a_lost_response_with_a_new_snapshot_is_done(sandbox_url: str, direct: Chat, tmp_path: Path) -> None:
    model_id = await direct.new_model("a")
    with fault_proxy(sandbox_url, FAULTS["acted, reset at byte 0"], "snapshotModel") as proxy:
        async with support.connect_chat(Upstream(url=proxy.url), tmp_path) as chat:
            answer = await chat("snapshot_model", modelId=model_id, snapshotName="v1")
    (model,) = (await direct("find_models", ids=[model_id]))["models"]
    assert answer["outcome"] == "exists"
    assert answer["result"]["snapshotId"] == model["snapshots"][0]["id"]


async def test_an_older_snapshot_of_the_name_is_not_the_new_one(sandbox_url: str, direct: Chat, tmp_path: Path) -> None:
    given = {"modelId": await direct.new_model("twice"), "snapshotName": "v1"}
    await direct("snapshot_model", **given)
    models = (await direct("find_models", names=["twice"], detail=True))["models"]
    an_hour_ago = models[0] | {"snapshots": [models[0]["snapshots"][0] | {"createdAt": 1}]}
    page = support.frame({"result": {"models": [an_hour_ago], "total": 1, "offset": 0, "limit": 20}})
    dated = page.replace(b"\r\n\r\n", b"\r\nDate: Mon, 23 Nov 2026 00:00:00 GMT\r\n\r\n", 1)
    with support.upstream(lambda _, request: dated if request.path.endswith("getModels") else None) as up:
        async with support.connect_chat(up, tmp_path) as chat:
            answer = await chat("snapshot_model", **given)
    assert answer["error"]["outcome"] == "unknown"
    assert "before you take another" in answer["nextStep"]
