"""The tools around create_model, most on the sandbox at both revisions."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import anyio
import pytest
import support
from decthings_mcp.server.app import create_server
from decthings_mcp.server.sandbox.models import FAILURES
from decthings_mcp.server.sandbox.seed import DATASET_ID, MODEL_ID, SNAPSHOT_ID
from decthings_mcp.server.settings import Settings
from mcp import Client
from support import CODE, Chat, Person

pytestmark = pytest.mark.anyio

CREATE = {"method": "create", "name": "s", "params": [], "launcherSpec": {"cpus": 1, "memoryMebibytes": 512}}


async def test_models_are_found_and_told_compactly(sandbox_chat: Chat) -> None:
    await sandbox_chat.new_model("a", tags=[{"tag": "type", "value": "x"}])
    answer = await sandbox_chat("find_models", sort="name", sortDirection="asc")
    assert answer["total"] == 2
    own, example = answer["models"]
    assert (own["name"], own["access"], own["tags"], own["beingCreated"]) == ("a", "readwrite", ["type: x"], False)
    assert own["createdAt"].endswith("Z")
    assert example["snapshots"] == [{"id": SNAPSHOT_ID, "name": "v1"}]
    assert (example["id"], example["owner"], example["activeState"]) == (MODEL_ID, "decthings-examples", "trained")
    assert "parameterDefinitions" not in example
    assert MODEL_ID in answer["text"]
    assert SNAPSHOT_ID in answer["text"]


@pytest.mark.parametrize(
    ("narrowing", "names"),
    [
        ({"searchName": "FLOWER"}, ["example-flower-classifier"]),
        ({"names": ["b", "c"]}, ["b"]),
        ({"ids": [MODEL_ID]}, ["example-flower-classifier"]),
        ({"tags": [{"tag": "t", "value": "1"}]}, ["b"]),
        ({"owners": ["decthings-examples"]}, ["example-flower-classifier"]),
        ({"limit": 1, "offset": 1}, ["b"]),
        ({"names": "none"}, []),
    ],
)
async def test_models_are_narrowed_down(narrowing: dict[str, Any], names: list[str], sandbox_chat: Chat) -> None:
    await sandbox_chat.new_model("a")
    await sandbox_chat.new_model("b", tags=[{"tag": "t", "value": "1"}])
    found = await sandbox_chat("find_models", **{"sort": "name", "sortDirection": "asc", **narrowing})
    assert [model["name"] for model in found["models"]] == names
    if "limit" in narrowing:
        assert (found["total"], found["nextStep"]) == (3, "1 more: call again with offset 2, or narrow it down.")


async def test_detail_tells_everything(sandbox_chat: Chat) -> None:
    (model,) = (await sandbox_chat("find_models", ids=[MODEL_ID], detail=True))["models"]
    assert model["parameterDefinitions"]["evaluateInput"][0]["rules"]["allowedTypes"] == ["image"]
    assert model["createdAt"] == "2026-01-01T00:00:00Z"


async def test_a_limit_out_of_range_is_told(sandbox_chat: Chat) -> None:
    (problem,) = (await sandbox_chat("find_models", limit=51))["error"]["problems"]
    assert problem == {"path": "limit", "problem": "has to be 50 or less"}
    (problem,) = (await sandbox_chat("find_models", offset=-1))["error"]["problems"]
    assert problem == {"path": "offset", "problem": "has to be 0 or more"}


async def test_datasets_are_found_with_their_keys(sandbox_chat: Chat) -> None:
    (dataset,) = (await sandbox_chat("find_datasets"))["datasets"]
    assert (dataset["id"], dataset["entries"]) == (DATASET_ID, 150)
    assert dataset["keys"][0] == {"datasetKey": "image", "allowedTypes": ["image"], "shape": []}


async def test_a_read_only_failure_has_no_outcome(sandbox_chat: Chat) -> None:
    error = (await sandbox_chat("wait_for_model", modelId="none"))["error"]
    assert (error["code"], "outcome" in error) == ("model_not_found", False)


async def test_waiting_tells_seconds_and_ends_when_the_model_is_ready(sandbox_chat: Chat) -> None:
    options = {"type": "basedOnModelSnapshot", "modelId": MODEL_ID, "snapshotId": SNAPSHOT_ID, "initialState": CREATE}
    created = await sandbox_chat("create_model", name="n", description="d", options=options)
    model_id = created["result"]["modelId"]
    assert "wait_for_model" in created["nextStep"]
    assert (await sandbox_chat("wait_for_model", modelId=model_id, timeoutSeconds=0))["state"] == "creating"
    unknown = await sandbox_chat("wait_for_model", modelId="none", timeoutSeconds=0)
    assert unknown["error"]["code"] == "model_not_found"
    steps: list[float] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        steps.append(progress)

    result = await sandbox_chat.client.call_tool("wait_for_model", {"modelId": model_id}, progress_callback=note)
    assert (result.structured_content or {})["state"] == "ready"
    assert len(steps) >= 2
    assert steps == sorted(set(steps))
    assert (await sandbox_chat("wait_for_model", modelId=model_id))["state"] == "ready"


async def test_the_longest_wait_ends_with_an_ordinary_answer(upstream: support.Upstream, tmp_path: Path) -> None:
    model = {"id": "m", "name": "n", "beingCreated": True}
    page = support.frame({"result": {"models": [model], "total": 1, "offset": 0, "limit": 20}})

    def talk(connection: socket.socket, request: support.Request) -> None:
        if request.path.endswith("getModels"):
            connection.sendall(page)
        else:
            support.stay_silent(connection, request)

    upstream.reply = talk
    async with support.chat(upstream, tmp_path, call_seconds=1) as chat:
        answer = await chat("wait_for_model", modelId="m", timeoutSeconds=45)
    assert answer["state"] == "creating"
    assert answer["waitedSeconds"] < 1


SAID = {
    "server_overloaded": "no capacity", "unknown": "does not say why", "invalid_executable_file": "cannot run|can run",
    "read_executable_file_failed": "could not be read", "launcher_terminated": "shut down",
    "max_duration_exceeded": "longer than the model allows, while its state was being created",
    "exit": "own program ended", "signal": "own program ended", "oom": "out of memory", "exception": "exception",
}  # fmt: skip


async def test_each_failure_of_a_creation_has_its_own_words(quiet_chat: Chat) -> None:
    waiting: dict[str, str] = {}
    for kind in FAILURES:
        source = await quiet_chat.new_model(f"source-{kind}", tags=[{"tag": "sandbox-fail", "value": kind}])
        snapshot = (await quiet_chat("snapshot_model", modelId=source, snapshotName="v1"))["result"]["snapshotId"]
        options = {"type": "basedOnModelSnapshot", "modelId": source, "snapshotId": snapshot, "initialState": CREATE}
        created = await quiet_chat("create_model", name=f"failing-{kind}", description="d", options=options)
        waiting[kind] = created["result"]["modelId"]
    answers: dict[str, dict[str, Any]] = {}

    async def wait(kind: str, model_id: str) -> None:
        answers[kind] = await quiet_chat("wait_for_model", modelId=model_id)

    async with anyio.create_task_group() as tasks:
        for kind, model_id in waiting.items():
            tasks.start_soon(wait, kind, model_id)
    assert set(answers) == set(SAID)
    for kind, answer in answers.items():
        assert answer["state"] == "failed"
        assert any(said in answer["text"] for said in SAID[kind].split("|")), (kind, answer["text"])
        assert answer["failure"]["message"] in answer["text"]
        assert "keeps its name" in answer["nextStep"]
        assert (await quiet_chat("wait_for_model", modelId=waiting[kind]))["state"] == "failed"
    assert answers["oom"]["failure"]["stage"] == "createLauncher"
    assert answers["exit"]["failure"]["exitCode"] == 3
    assert answers["signal"]["failure"]["signal"] == "SIGSEGV"
    assert "memoryMebibytes" in answers["oom"]["nextStep"]
    assert "learningRate has to be positive" in answers["exception"]["failure"]["exceptionDetails"]
    assert answers["exception"]["failure"]["stage"] == "createState"


async def test_a_model_is_mended_instead_of_made_anew(sandbox_chat: Chat, person: Person) -> None:
    model_id = await sandbox_chat.new_model("a")
    definition = {"name": "x", "rules": {"shape": "[1]", "allowedTypes": "f32"}}
    answer = await sandbox_chat(
        "update_model", modelId=model_id, name="b", parameterDefinitions={"evaluateInput": definition}
    )
    assert answer["result"] == {"changed": ["name", "parameterDefinitions"]}
    (model,) = (await sandbox_chat("find_models", ids=[model_id], detail=True))["models"]
    assert (model["name"], model["description"]) == ("b", "d")
    assert model["parameterDefinitions"]["evaluateInput"][0]["required"] is True
    assert person.questions == []


async def test_an_update_of_nothing_is_told(sandbox_chat: Chat) -> None:
    (problem,) = (await sandbox_chat("update_model", modelId="m"))["error"]["problems"]
    assert "nothing that is to be changed" in problem["problem"]


async def test_a_name_that_is_taken_is_explained(sandbox_chat: Chat) -> None:
    model_id = await sandbox_chat.new_model("a")
    await sandbox_chat.new_model("a-2")
    same = (await sandbox_chat("create_model", name="a", description="d", options=CODE))["error"]
    assert (same["existing"]["modelId"], same["existing"]["same"]) == (model_id, True)
    assert same["freeNames"] == ["a-3", "a-4"]
    other = await sandbox_chat("create_model", name="a", description="other", options={**CODE, "language": "rust"})
    assert other["error"]["existing"]["differs"] == ["description", "language"]
    assert model_id in other["text"]


@pytest.mark.parametrize(
    ("options", "differs", "not_compared"),
    [
        ({"type": "fromExisting", "modelId": MODEL_ID}, None, ["modelId"]),
        ({"type": "upload", "format": "tflite", "data": {"base64": "CAAAAFRGTDMAAAAA"}}, None, ["format", "data"]),
        ({"type": "basedOnModelSnapshot", "modelId": MODEL_ID, "snapshotId": SNAPSHOT_ID,
          "initialState": {"method": "copy"}}, ["basedOnSnapshot"], ["initialState"]),
        ({**CODE, "preset": "pytorch"}, None, ["preset"]),
    ],
)  # fmt: skip
async def test_what_cannot_be_compared_is_not_called_the_same(
    options: Any, differs: Any, not_compared: Any, sandbox_chat: Chat
) -> None:
    await sandbox_chat.new_model("a")
    existing = (await sandbox_chat("create_model", name="a", description="d", options=options))["error"]["existing"]
    assert existing.get("differs") == differs
    assert existing["notCompared"] == not_compared
    assert existing.get("same") is (False if differs else None)


async def test_an_update_can_empty_things(sandbox_chat: Chat) -> None:
    definition = {"name": "x", "rules": {"shape": [], "allowedTypes": ["f32"]}}
    model_id = await sandbox_chat.new_model("a", parameterDefinitions={"train": [definition]})
    nothing: dict[str, Any] = {name: [] for name in ("createState", "train", "evaluateInput", "evaluateOutput")}
    await sandbox_chat("update_model", modelId=model_id, description="", parameterDefinitions=nothing, tags=[])
    (model,) = (await sandbox_chat("find_models", ids=[model_id], detail=True))["models"]
    assert (model["description"], model["parameterDefinitions"], model["tags"]) == ("", nothing, [])


async def test_only_the_tools_that_are_offered_are_listed_and_can_be_called(mode: str, tmp_path: Path) -> None:
    settings = Settings(sandbox=True, sandbox_data=tmp_path, read_only=True)
    async with Client(create_server(settings), mode=mode) as client:
        tools = (await client.list_tools()).tools
        assert all(tool.annotations is not None and tool.annotations.read_only_hint for tool in tools)
        names = {tool.name for tool in tools}
        assert names == {"find_models", "find_datasets", "inspect_model_file", "wait_for_model"}


async def test_hints_tell_what_a_tool_does(sandbox_chat: Chat) -> None:
    hints = {tool.name: tool.annotations for tool in (await sandbox_chat.client.list_tools()).tools}
    destructive = {name for name, hint in hints.items() if hint and hint.destructive_hint}
    assert destructive == {"delete_model"}


async def test_an_upload_without_definitions_says_how_to_get_them(
    sandbox_chat: Chat, tmp_path: Path, onnx_file: bytes
) -> None:
    (tmp_path / "m.onnx").write_bytes(onnx_file)
    options = {"type": "upload", "format": "onnx", "data": {"path": "m.onnx"}}
    answer = await sandbox_chat("create_model", name="n", description="d", options=options)
    assert "inspect_model_file" in answer["nextStep"]


async def test_odd_and_large_answers_are_told_bounded(upstream: support.Upstream, tmp_path: Path) -> None:
    odd = {
        "id": "m",
        "name": None,
        "description": None,
        "tags": [{}],
        "createdAt": "soon",
        "owner": 7,
        "states": [None],
    }
    large = {
        "id": "l",
        "name": "n" * 5_000,
        "snapshots": [{"id": "s" * 190, "name": "x" * 190, "createdAt": 1}] * 500,
        "tags": [{"tag": "t" * 190, "value": "v" * 190}] * 500,
        "parameterDefinitions": {"evaluateInput": [{"name": str(number)} for number in range(120)]},
        "createdAt": 0,
    }
    upstream.reply = support.frame({"result": {"models": [odd, large], "total": 3, "offset": 0, "limit": 20}})
    async with support.chat(upstream, tmp_path) as chat:
        brief = await chat("find_models")
        assert len(brief.pop("text")) < 20_000
        assert len(str(brief)) < 20_000
        assert brief["models"][1]["snapshots"][-1] == "… and 480 more"
        assert brief["models"][0]["description"] == ""
        assert brief["nextStep"].startswith("1 more")
        detail = (await chat("find_models", detail=True))["models"]
        assert len(detail[1]["parameterDefinitions"]["evaluateInput"]) == 120
        assert detail[1]["snapshots"][0]["createdAt"] == "1970-01-01T00:00:00Z"
        upstream.reply = support.frame({"result": {"models": [], "total": 3, "offset": 9, "limit": 20}})
        assert "smaller offset" in (await chat("find_models", offset=9))["nextStep"]
