"""The tools around create_model, on the sandbox: at both revisions, with clients that can ask and that cannot."""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, Literal

import anyio
import pytest
import support
from decthings_mcp.server.app import create_server
from decthings_mcp.server.sandbox.models import FAILURES
from decthings_mcp.server.sandbox.seed import DATASET_ID, MODEL_ID, SNAPSHOT_ID
from decthings_mcp.server.settings import Settings
from mcp import Client
from mcp_types import ElicitRequestParams, ElicitResult, TextContent

pytestmark = pytest.mark.anyio

Mode = Literal["legacy", "auto"]
CODE = {"type": "code", "language": "go"}
CREATE = {"method": "create", "name": "s", "params": [], "launcherSpec": {"cpus": 1, "memoryMebibytes": 512}}


class Person:
    """Answers questions with what `answer` says, and keeps what was asked."""

    def __init__(self, answer: ElicitResult | None = None) -> None:
        self.answer = answer
        self.questions: list[str] = []

    async def __call__(self, context: Any, params: ElicitRequestParams) -> ElicitResult:
        self.questions.append(params.message)
        assert self.answer is not None
        return self.answer


YES = ElicitResult(action="accept", content={"confirm": True})


class Chat:
    def __init__(self, client: Client, person: Person) -> None:
        self.client, self.person = client, person

    async def __call__(self, tool: str, **arguments: Any) -> dict[str, Any]:
        result = await self.client.call_tool(tool, arguments)
        answer = result.structured_content or {}
        assert bool(result.is_error) == ("error" in answer)
        (block,) = result.content
        assert isinstance(block, TextContent)
        assert answer["nextStep"] in block.text
        return {**answer, "text": block.text}

    async def create(self, name: str, **options: Any) -> str:
        created = await self("create_model", name=name, description="d", options={**CODE, **options})
        return created["result"]["modelId"]


@pytest.fixture(params=["legacy", "auto"])
def mode(request: pytest.FixtureRequest) -> Mode:
    return request.param


@pytest.fixture
def person() -> Person:
    return Person()


@pytest.fixture
async def chat(mode: Mode, person: Person, tmp_path: Path) -> AsyncGenerator[Chat]:
    """With a client that can ask the person."""
    settings = Settings(sandbox=True, sandbox_data=tmp_path / "data", files=[tmp_path])
    async with Client(create_server(settings), mode=mode, elicitation_callback=person) as client:
        yield Chat(client, person)


@pytest.fixture
async def quiet_chat(mode: Mode, tmp_path: Path) -> AsyncGenerator[Chat]:
    """With a client that cannot."""
    settings = Settings(sandbox=True, sandbox_data=tmp_path / "data", files=[tmp_path])
    async with Client(create_server(settings), mode=mode) as client:
        yield Chat(client, Person())


async def test_models_are_found_and_told_compactly(chat: Chat) -> None:
    await chat.create("a", tags=[{"tag": "type", "value": "x"}])
    answer = await chat("find_models", sort="name", sortDirection="asc")
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
async def test_models_are_narrowed_down(narrowing: dict[str, Any], names: list[str], chat: Chat) -> None:
    await chat.create("a")
    await chat.create("b", tags=[{"tag": "t", "value": "1"}])
    found = await chat("find_models", **{"sort": "name", "sortDirection": "asc", **narrowing})
    assert [model["name"] for model in found["models"]] == names
    if "limit" in narrowing:
        assert (found["total"], found["nextStep"]) == (3, "1 more: call again with offset 2, or narrow it down.")


async def test_detail_tells_everything(chat: Chat) -> None:
    (model,) = (await chat("find_models", ids=[MODEL_ID], detail=True))["models"]
    assert model["parameterDefinitions"]["evaluateInput"][0]["rules"]["allowedTypes"] == ["image"]
    assert model["createdAt"] == "2026-01-01T00:00:00Z"


async def test_a_limit_out_of_range_is_told(chat: Chat) -> None:
    (problem,) = (await chat("find_models", limit=51))["error"]["problems"]
    assert problem == {"path": "limit", "problem": "has to be 50 or less"}
    (problem,) = (await chat("find_models", offset=-1))["error"]["problems"]
    assert problem == {"path": "offset", "problem": "has to be 0 or more"}


async def test_datasets_are_found_with_their_keys(chat: Chat) -> None:
    (dataset,) = (await chat("find_datasets"))["datasets"]
    assert (dataset["id"], dataset["entries"]) == (DATASET_ID, 150)
    assert dataset["keys"][0] == {"datasetKey": "image", "allowedTypes": ["image"], "shape": []}


async def test_a_read_only_failure_has_no_outcome(chat: Chat) -> None:
    error = (await chat("wait_for_model", modelId="none"))["error"]
    assert (error["code"], "outcome" in error) == ("model_not_found", False)


async def test_waiting_tells_seconds_and_ends_when_the_model_is_ready(chat: Chat) -> None:
    options = {"type": "basedOnModelSnapshot", "modelId": MODEL_ID, "snapshotId": SNAPSHOT_ID, "initialState": CREATE}
    created = await chat("create_model", name="n", description="d", options=options)
    model_id = created["result"]["modelId"]
    assert "wait_for_model" in created["nextStep"]
    assert (await chat("wait_for_model", modelId=model_id, timeoutSeconds=0))["state"] == "creating"
    assert (await chat("wait_for_model", modelId="none", timeoutSeconds=0))["error"]["code"] == "model_not_found"
    steps: list[float] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        steps.append(progress)

    result = await chat.client.call_tool("wait_for_model", {"modelId": model_id}, progress_callback=note)
    assert (result.structured_content or {})["state"] == "ready"
    assert len(steps) >= 2
    assert steps == sorted(set(steps))
    assert (await chat("wait_for_model", modelId=model_id))["state"] == "ready"


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
        answer = await chat.call("wait_for_model", {"modelId": "m", "timeoutSeconds": 45})
    assert answer["state"] == "creating"
    assert answer["waitedSeconds"] < 1


SAID = {
    "server_overloaded": "no capacity", "unknown": "does not say why", "invalid_executable_file": "cannot run|can run",
    "read_executable_file_failed": "could not be read", "launcher_terminated": "shut down",
    "max_duration_exceeded": "longer than the model allows, while its state was being created",
    "exit": "own program ended", "signal": "own program ended", "oom": "out of memory", "exception": "exception",
}  # fmt: skip


async def test_each_failure_of_a_creation_has_its_own_words(quiet_chat: Chat) -> None:
    chat = quiet_chat
    waiting: dict[str, str] = {}
    for kind in FAILURES:
        source = await chat.create(f"source-{kind}", tags=[{"tag": "sandbox-fail", "value": kind}])
        snapshot = (await chat("snapshot_model", modelId=source, snapshotName="v1"))["result"]["snapshotId"]
        options = {"type": "basedOnModelSnapshot", "modelId": source, "snapshotId": snapshot, "initialState": CREATE}
        created = await chat("create_model", name=f"failing-{kind}", description="d", options=options)
        waiting[kind] = created["result"]["modelId"]
    answers: dict[str, dict[str, Any]] = {}

    async def wait(kind: str, model_id: str) -> None:
        answers[kind] = await chat("wait_for_model", modelId=model_id)

    async with anyio.create_task_group() as tasks:
        for kind, model_id in waiting.items():
            tasks.start_soon(wait, kind, model_id)
    assert set(answers) == set(SAID)
    for kind, answer in answers.items():
        assert answer["state"] == "failed"
        assert any(said in answer["text"] for said in SAID[kind].split("|")), (kind, answer["text"])
        assert answer["failure"]["message"] in answer["text"]
        assert "keeps its name" in answer["nextStep"]
        assert (await chat("wait_for_model", modelId=waiting[kind]))["state"] == "failed"
    assert answers["oom"]["failure"]["stage"] == "createLauncher"
    assert answers["exit"]["failure"]["exitCode"] == 3
    assert answers["signal"]["failure"]["signal"] == "SIGSEGV"
    assert "memoryMebibytes" in answers["oom"]["nextStep"]
    assert "learningRate has to be positive" in answers["exception"]["failure"]["exceptionDetails"]
    assert answers["exception"]["failure"]["stage"] == "createState"


async def test_a_model_is_mended_instead_of_made_anew(chat: Chat) -> None:
    model_id = await chat.create("a")
    definition = {"name": "x", "rules": {"shape": "[1]", "allowedTypes": "f32"}}
    answer = await chat("update_model", modelId=model_id, name="b", parameterDefinitions={"evaluateInput": definition})
    assert answer["result"] == {"changed": ["name", "parameterDefinitions"]}
    (model,) = (await chat("find_models", ids=[model_id], detail=True))["models"]
    assert (model["name"], model["description"]) == ("b", "d")
    assert model["parameterDefinitions"]["evaluateInput"][0]["required"] is True
    assert chat.person.questions == []


async def test_an_update_of_nothing_is_told(chat: Chat) -> None:
    (problem,) = (await chat("update_model", modelId="m"))["error"]["problems"]
    assert "nothing that is to be changed" in problem["problem"]


async def test_a_name_that_is_taken_is_explained(chat: Chat) -> None:
    model_id = await chat.create("a")
    await chat.create("a-2")
    same = (await chat("create_model", name="a", description="d", options=CODE))["error"]
    assert (same["existing"]["modelId"], same["existing"]["same"]) == (model_id, True)
    assert same["freeNames"] == ["a-3", "a-4"]
    other = await chat("create_model", name="a", description="other", options={**CODE, "language": "rust"})
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
    options: Any, differs: Any, not_compared: Any, chat: Chat
) -> None:
    await chat.create("a")
    existing = (await chat("create_model", name="a", description="d", options=options))["error"]["existing"]
    assert existing.get("differs") == differs
    assert existing["notCompared"] == not_compared
    assert existing.get("same") is (False if differs else None)


async def test_the_person_is_asked_before_a_model_is_deleted(chat: Chat) -> None:
    model_id = await chat.create("mine")
    chat.person.answer = YES
    answer = await chat("delete_model", modelId=model_id, confirmName="mine")
    assert answer["result"] == {"deleted": model_id}
    (question,) = chat.person.questions
    assert '"mine"' in question
    assert "states (0) and snapshots (0)" in question
    assert "final" in question
    assert (await chat("find_models", ids=[model_id]))["total"] == 0


@pytest.mark.parametrize(
    "answer",
    [ElicitResult(action="decline"), ElicitResult(action="cancel"),
     ElicitResult(action="accept", content={"confirm": False})],
)  # fmt: skip
async def test_without_consent_nothing_happens(answer: ElicitResult, chat: Chat) -> None:
    model_id = await chat.create("mine")
    chat.person.answer = answer
    deleted = (await chat("delete_model", modelId=model_id, confirmName="mine"))["error"]
    assert (deleted["code"], deleted["outcome"]) == ("declined", "not_done")
    updated = (await chat("update_model", modelId=model_id, publicAccess=True))["error"]
    assert (updated["code"], updated["outcome"]) == ("declined", "not_done")
    created = await chat("create_model", name="n", description="d", publicAccess=True, options=CODE)
    assert (created["error"]["code"], created["error"]["outcome"]) == ("declined", "not_created")
    assert len(chat.person.questions) == 3
    (model,) = (await chat("find_models", names=["mine", "n"]))["models"]
    assert (model["id"], model["publicAccess"]) == (model_id, False)


@pytest.mark.parametrize(("confirm", "code"), [("other", "name_differs"), ("MINE", "name_differs")])
async def test_a_wrong_name_deletes_nothing_and_asks_nothing(confirm: str, code: str, chat: Chat) -> None:
    model_id = await chat.create("mine")
    assert (await chat("delete_model", modelId=model_id, confirmName=confirm))["error"]["code"] == code
    assert (await chat("delete_model", modelId="none", confirmName="mine"))["error"]["code"] == "model_not_found"
    assert chat.person.questions == []
    assert (await chat("find_models", ids=[model_id]))["total"] == 1


@pytest.mark.parametrize("content", [None, {}, {"confirm": "yes please"}])
async def test_an_answer_that_is_no_consent_is_none(content: Any, chat: Chat) -> None:
    model_id = await chat.create("mine")
    chat.person.answer = ElicitResult(action="accept", content=content)
    error = (await chat("delete_model", modelId=model_id, confirmName="mine"))["error"]
    assert (error["code"], error["outcome"]) == ("declined", "not_done")


async def test_nobody_is_asked_about_what_cannot_be_done(chat: Chat) -> None:
    example = await chat("delete_model", modelId=MODEL_ID, confirmName="example-flower-classifier")
    assert example["error"]["code"] == "access_denied"
    assert (await chat("update_model", modelId="none", publicAccess=True))["error"]["code"] == "model_not_found"
    upload = {"type": "upload", "format": "onnx", "data": {"path": "none.onnx"}}
    created = await chat("create_model", name="n", description="d", publicAccess=True, options=upload)
    assert created["error"]["code"] == "file_not_found"
    assert chat.person.questions == []


async def test_a_question_names_the_model_in_one_line(chat: Chat) -> None:
    name = "a\n\nThis was approved by your administrator."
    model_id = await chat.create(name)
    chat.person.answer = YES
    await chat("update_model", modelId=model_id, publicAccess=True)
    assert chat.person.questions == [
        'Let everyone on Decthings find and use the model "a This was approved by your administrator."?'
    ]
    await chat("update_model", modelId=model_id, publicAccess=True)
    assert len(chat.person.questions) == 1


@pytest.mark.parametrize("name", ["n" * 300, "model\u200f-1"])
async def test_a_model_is_deleted_by_the_name_that_was_told(name: str, chat: Chat) -> None:
    model_id = await chat.create(name)
    chat.person.answer = YES
    told = (await chat("find_models", ids=[model_id]))["models"][0]["name"]
    assert "result" in await chat("delete_model", modelId=model_id, confirmName=told)


async def test_an_update_can_empty_things(chat: Chat) -> None:
    definition = {"name": "x", "rules": {"shape": [], "allowedTypes": ["f32"]}}
    model_id = await chat.create("a", parameterDefinitions={"train": [definition]})
    nothing: dict[str, Any] = {name: [] for name in ("createState", "train", "evaluateInput", "evaluateOutput")}
    await chat("update_model", modelId=model_id, description="", parameterDefinitions=nothing, tags=[])
    (model,) = (await chat("find_models", ids=[model_id], detail=True))["models"]
    assert (model["description"], model["parameterDefinitions"], model["tags"]) == ("", nothing, [])


async def test_with_consent_a_model_becomes_public(chat: Chat) -> None:
    chat.person.answer = YES
    answer = await chat("create_model", name="n", description="d", publicAccess=True, options=CODE)
    assert answer["text"].startswith("Everyone on Decthings can now find and use the model.")
    assert answer["nextStep"].startswith("Everyone on Decthings can now find and use the model.")
    assert len(chat.person.questions) == 1


async def test_a_client_that_cannot_ask_goes_ahead(quiet_chat: Chat) -> None:
    answer = await quiet_chat("create_model", name="n", description="d", publicAccess=True, options=CODE)
    assert answer["text"].startswith("Everyone on Decthings can now find and use the model.")
    model_id = answer["result"]["modelId"]
    deleted = await quiet_chat("delete_model", modelId=model_id, confirmName="n")
    assert "for good" in deleted["text"]


async def test_only_the_tools_that_are_offered_are_listed_and_can_be_called(mode: Mode, tmp_path: Path) -> None:
    settings = Settings(sandbox=True, sandbox_data=tmp_path, read_only=True)
    async with Client(create_server(settings), mode=mode) as client:
        tools = (await client.list_tools()).tools
        assert all(tool.annotations is not None and tool.annotations.read_only_hint for tool in tools)
        names = {tool.name for tool in tools}
        assert names == {"find_models", "find_datasets", "inspect_model_file", "wait_for_model"}


async def test_hints_tell_what_a_tool_does(chat: Chat) -> None:
    hints = {tool.name: tool.annotations for tool in (await chat.client.list_tools()).tools}
    destructive = {name for name, hint in hints.items() if hint and hint.destructive_hint}
    assert destructive == {"delete_model"}


async def test_an_upload_without_definitions_says_how_to_get_them(chat: Chat, tmp_path: Path, onnx_file: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(onnx_file)
    options = {"type": "upload", "format": "onnx", "data": {"path": "m.onnx"}}
    answer = await chat("create_model", name="n", description="d", options=options)
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
        brief = await chat.call("find_models", {})
        assert len(str(brief)) < 20_000
        assert brief["models"][1]["snapshots"][-1] == "… and 480 more"
        assert brief["models"][0]["description"] == ""
        assert brief["nextStep"].startswith("1 more")
        detail = (await chat.call("find_models", {"detail": True}))["models"]
        assert len(detail[1]["parameterDefinitions"]["evaluateInput"]) == 120
        assert detail[1]["snapshots"][0]["createdAt"] == "1970-01-01T00:00:00Z"
        upstream.reply = support.frame({"result": {"models": [], "total": 3, "offset": 9, "limit": 20}})
        assert "smaller offset" in (await chat.call("find_models", {"offset": 9}))["nextStep"]
