"""What wait_for_model reports of each way in which creating a model can fail."""

from typing import Any

import anyio
import pytest
from decthings_mcp.server.sandbox.models import FAILURES
from support import CREATE_STATE, Chat

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("quick_creations")]


EXPECTED = {
    "server_overloaded": "no capacity", "unknown": "gave no reason", "invalid_executable_file": "cannot run",
    "read_executable_file_failed": "could not be read", "launcher_terminated": "shut down",
    "max_duration_exceeded": "longer than the model allows, while its state was being created",
    "exit": "own program ended", "signal": "own program ended", "oom": "out of memory", "exception": "exception",
}  # fmt: skip


async def test_each_failure_of_a_creation_has_its_own_words(chat_without_elicitation: Chat) -> None:
    waiting: dict[str, str] = {}
    for kind in FAILURES:
        source = await chat_without_elicitation.new_model(
            f"source-{kind}", tags=[{"tag": "sandbox-fail", "value": kind}]
        )
        snapshot = (await chat_without_elicitation("snapshot_model", modelId=source, snapshotName="v1"))["result"][
            "snapshotId"
        ]
        based_on = {"type": "basedOnModelSnapshot", "modelId": source, "snapshotId": snapshot}
        options = {**based_on, "initialState": CREATE_STATE}
        created = await chat_without_elicitation(
            "create_model", name=f"failing-{kind}", description="d", options=options
        )
        waiting[kind] = created["result"]["modelId"]
    answers: dict[str, dict[str, Any]] = {}

    async def wait(kind: str, model_id: str) -> None:
        answers[kind] = await chat_without_elicitation("wait_for_model", modelId=model_id)

    async with anyio.create_task_group() as tasks:
        for kind, model_id in waiting.items():
            tasks.start_soon(wait, kind, model_id)
    assert set(answers) == set(EXPECTED)
    for kind, answer in answers.items():
        assert answer["state"] == "failed"
        assert any(words in answer["text"] for words in EXPECTED[kind].split("|")), (kind, answer["text"])
        assert answer["failure"]["message"] in answer["text"]
        assert "keeps its name" in answer["nextStep"]
        assert "Create it" not in answer["nextStep"].partition("keeps its name")[0]
        assert answer["text"].count(answer["failure"]["message"]) == 1
        assert (await chat_without_elicitation("wait_for_model", modelId=waiting[kind]))["state"] == "failed"
    assert answers["oom"]["failure"]["stage"] == "createLauncher"
    assert answers["exit"]["failure"]["exitCode"] == 3
    assert answers["signal"]["failure"]["signal"] == "SIGSEGV"
    assert "memoryMebibytes" in answers["oom"]["nextStep"]
    assert "learningRate must be positive" in answers["exception"]["failure"]["exceptionDetails"]
    assert answers["exception"]["failure"]["stage"] == "createState"
    assert answers["exception"]["textOfOthers"] == ["failure.exceptionDetails"]
    assert not any(line.startswith("  at create_state") for line in answers["exception"]["text"].splitlines())
    failed = await chat_without_elicitation("find_models", ids=[waiting["exception"]])
    assert (failed["models"][0]["state"], failed["models"][0]["beingCreated"]) == ("none", False)
    assert "its creation may have failed. wait_for_model says" in failed["nextStep"]
