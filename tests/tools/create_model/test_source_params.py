"""Parameters of a new state are compared with what the source takes, before anything is created."""

from typing import Any

import pytest
from create_model_arguments import LAUNCHER, with_params
from support import Chat, Upstream, created, frame, http_response

pytestmark = pytest.mark.anyio


def definition(name: str, type_: str, *, required: bool = True) -> dict[str, Any]:
    return {"name": name, "required": required, "rules": {"shape": [], "allowedTypes": [type_], "annotations": []}}


CREATE_STATE = [definition("learningRate", "f32"), definition("images", "image", required=False)]


def inline(name: str, type_: str = "f32") -> dict[str, Any]:
    return {"name": name, "data": {"type": "data", "data": [{"type": type_, "shape": [], "data": ["1"]}]}}


@pytest.fixture
async def source(sandbox_chat: Chat) -> dict[str, Any]:
    """A model with a snapshot, as options."""
    model_id = await sandbox_chat.new_model("source", parameterDefinitions={"createState": CREATE_STATE})
    snapshot = await sandbox_chat("snapshot_model", modelId=model_id, snapshotName="v1")
    snapshot_id = snapshot["result"]["snapshotId"]
    return {"type": "basedOnModelSnapshot", "modelId": model_id, "snapshotId": snapshot_id}


async def create(chat: Chat, source: dict[str, Any], *params: Any) -> dict[str, Any]:
    state = {"method": "create", "name": "s", "params": list(params), "launcherSpec": LAUNCHER}
    return await chat("create_model", name="n", description="d", options={**source, "initialState": state})


async def test_unknown_missing_and_wrong_params_are_reported_at_once(
    sandbox_chat: Chat, source: dict[str, Any]
) -> None:
    wrong = await create(sandbox_chat, source, inline("learnRate"), inline("images", "u8"))
    assert (wrong["error"]["code"], wrong["error"]["outcome"]) == ("invalid_arguments", "not_created")
    unknown, type_, missing = wrong["error"]["problems"]
    assert unknown["path"] == "options.initialState.params[0].name"
    assert (unknown["nearest"], unknown["allowed"]) == ("learningRate", ["learningRate", "images"])
    assert type_["path"] == "options.initialState.params[1].data.data[0].type"
    assert type_["allowed"] == ["image"]
    assert missing["path"] == "options.initialState.params"
    assert missing["missing"] == [{"name": "learningRate", "allowedTypes": ["f32"], "shape": []}]
    assert "learningRate" in wrong["text"].partition("missing:")[2]
    assert (await sandbox_chat("find_models", names=["n"]))["total"] == 0


async def test_params_that_the_source_takes_are_sent(sandbox_chat: Chat, source: dict[str, Any]) -> None:
    assert (await create(sandbox_chat, source, inline("learningRate")))["outcome"] == "created"


async def test_a_source_without_parameters_takes_none(sandbox_chat: Chat) -> None:
    model_id = await sandbox_chat.new_model("plain")
    snapshot = await sandbox_chat("snapshot_model", modelId=model_id, snapshotName="v1")
    source = {"type": "basedOnModelSnapshot", "modelId": model_id, "snapshotId": snapshot["result"]["snapshotId"]}
    (problem,) = (await create(sandbox_chat, source, inline("x")))["error"]["problems"]
    assert problem["problem"].endswith("which has none")


async def test_a_source_that_is_not_visible_is_left_to_decthings(sandbox_chat: Chat, source: dict[str, Any]) -> None:
    answer = await create(sandbox_chat, {**source, "modelId": "none"}, inline("x"))
    assert answer["error"]["code"] == "model_not_found"
    answer = await create(sandbox_chat, {**source, "snapshotId": "none"}, inline("x"))
    assert answer["error"]["code"] == "snapshot_not_found"


ONE = {"learningRate": 1}


@pytest.mark.parametrize("models", [
    None, [], [{"id": "m"}], [{"id": "m", "snapshots": [{"id": "s"}]}],
    [{"id": "m", "snapshots": [{"id": "s", "parameterDefinitions": {"createState": ONE}}]}],
    [{"id": "m", "snapshots": [{"id": "s", "parameterDefinitions": {"createState": [{}]}}]}],
    [{"id": "m", "snapshots": [{"id": "s", "parameterDefinitions": {"createState": [{"name": "x", "rules": 7}]}}]}],
])  # fmt: skip
async def test_what_cannot_be_read_of_the_source_stops_nothing(models: Any, chat: Chat, upstream: Upstream) -> None:
    read = frame({"result": {"models": models, "total": 1}}) if models is not None else http_response(b"", "500 Oh")
    upstream.reply = lambda _, request: created() if request.path.endswith("createModel") else read
    assert (await chat.create(with_params(inline("x"))))["outcome"] == "created"
