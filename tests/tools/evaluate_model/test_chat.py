"""Whole chats on the sandbox: models are really run, by onnxruntime and LiteRT, and compared with their files."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from decthings_mcp.server.app import create_server
from decthings_mcp.server.sandbox.seed import DATASET_ID, MODEL_ID, SNAPSHOT_ID, example_file
from decthings_mcp.server.settings import Settings
from decthings_mcp.tools.decthings import Tensor
from decthings_mcp.tools.evaluate_model import comparison
from decthings_mcp.tools.local_run import runner
from evaluation_support import (
    WITHOUT_RUNTIMES,
    Evaluating,
    definition,
    definitions,
    doubling,
    endless,
    evaluated,
    onnx_model,
    picture,
)
from example_model import example_model
from mcp import Client
from onnx import TensorProto, helper
from support import CODE, EXAMPLE_SNAPSHOT, Chat, Upstream, connect_chat, http_response

pytestmark = pytest.mark.anyio

ROSE = {"name": "image", "data": ["file:rose.bmp"]}


@pytest.fixture
async def chat(tmp_path: Path) -> AsyncGenerator[Chat]:
    (tmp_path / "rose.bmp").write_bytes(picture(210, 30, 50))
    (tmp_path / "flowers.onnx").write_bytes(example_file())
    (tmp_path / "double.onnx").write_bytes(doubling())
    async with Client(
        create_server(Settings(sandbox=True, sandbox_data=tmp_path / "data", files=[tmp_path]))
    ) as client:
        yield Chat(client)


async def upload(chat: Chat, path: str, **options: Any) -> str:
    format_ = path.rpartition(".")[2]
    given = {"type": "upload", "format": format_, "data": {"path": path}, **options}
    return (await chat("create_model", name=path, description="d", options=given))["result"]["modelId"]


def test_the_example_model_is_what_its_program_makes() -> None:
    assert example_file() == example_model()


async def test_a_model_is_uploaded_tried_with_a_picture_and_compared_with_its_file(chat: Chat) -> None:
    inspected = await chat("inspect_model_file", path="flowers.onnx")
    model_id = await upload(chat, "flowers.onnx", parameterDefinitions=inspected["parameterDefinitions"])
    result = await chat("evaluate_model", modelId=model_id, params=[ROSE], compareWithFile="flowers.onnx")
    label, scores = result["outputs"]
    assert (result["state"], result["outcome"], label["values"]) == ("finished", "evaluated", ["rose"])
    assert scores["values"][0] > 0.9
    assert (result["comparison"]["same"], result["comparison"]["largestDifference"]) == (True, 0)
    assert "same as flowers.onnx gives on this machine, largest difference 0" in result["text"]


async def test_a_file_that_was_changed_on_the_way_is_found(chat: Chat, tmp_path: Path) -> None:
    model_id = await upload(chat, "double.onnx", parameterDefinitions=definitions(definition("x", "f32", [1, 4])))
    (tmp_path / "double.onnx").write_bytes(doubling(2.5))
    result = await chat("evaluate_model", modelId=model_id, params={"x": [1, 2, 4, -8]}, compareWithFile="double.onnx")
    comparison = result["comparison"]
    assert (comparison["same"], comparison["largestDifference"]) == (False, 4.0)
    (output,) = comparison["outputs"]
    assert (output["at"], output["onDecthings"], output["inFile"]) == ({"index": [0, 3]}, -16.0, -20.0)
    assert output["differing"] == 4
    assert "They differ" in result["text"]
    assert "may not be the file that was uploaded" in result["nextStep"]


async def test_inputs_are_made_from_the_file_when_neither_the_user_nor_the_model_says_what_they_are(chat: Chat) -> None:
    model_id = await upload(chat, "double.onnx")
    first, second = [await chat("evaluate_model", modelId=model_id, compareWithFile="double.onnx") for _ in range(2)]
    assert first["comparison"]["same"] is True
    assert "floats from 0 to 1" in first["comparison"]["inputs"]
    assert first["outputs"] == second["outputs"]


async def test_the_example_and_its_copies_take_an_image_and_run(chat: Chat) -> None:
    copy = {"type": "fromExisting", "modelId": MODEL_ID}
    copied = (await chat("create_model", name="copy", description="d", options=copy))["result"]["modelId"]
    for model in ({"modelId": MODEL_ID, "snapshotId": SNAPSHOT_ID}, {"modelId": copied}):
        result = await chat("evaluate_model", **model, params=[ROSE])
        assert result["outputs"][0]["values"] == ["rose"]


@pytest.mark.parametrize("options", [CODE, {**EXAMPLE_SNAPSHOT, "initialState": {"method": "copy"}}])
async def test_what_the_sandbox_cannot_run_fails_and_has_no_invented_outputs(options: Any, chat: Chat) -> None:
    model_id = (await chat("create_model", name="n", description="d", options=options))["result"]["modelId"]
    result = await chat("evaluate_model", modelId=model_id, params=[{"name": "image", "type": "image", **ROSE}])
    assert (result["state"], result["outcome"]) == ("failed", "failed")
    assert (result["failure"]["code"], result["failure"]["stage"]) == ("exception", "codeStartup")
    assert "no code" in result["failure"]["exceptionDetails"]
    assert "outputs" not in result


async def test_a_model_that_is_still_being_created_is_not_evaluated(chat: Chat) -> None:
    state = {"method": "create", "name": "s", "params": [], "launcherSpec": {"cpus": 1, "memoryMebibytes": 512}}
    options = {**EXAMPLE_SNAPSHOT, "initialState": state}
    model_id = (await chat("create_model", name="n", description="d", options=options))["result"]["modelId"]
    result = await chat("evaluate_model", modelId=model_id, params=[ROSE])
    assert (result["error"]["code"], result["error"]["outcome"]) == ("model_not_ready", "not_evaluated")
    assert "wait_for_model" in result["nextStep"]


async def test_an_exception_of_the_runtime_is_shown_as_the_models_own_text(chat: Chat) -> None:
    model_id = await upload(chat, "double.onnx")
    params = [{"name": "x", "type": "f32", "shape": [2, 2], "data": [1, 2, 3, 4]}]
    result = await chat("evaluate_model", modelId=model_id, params=params)
    assert (result["failure"]["code"], result["failure"]["stage"]) == ("exception", "evaluate")
    assert "Got invalid dimensions for input: x" in result["failure"]["exceptionDetails"]


async def test_inputs_that_the_file_does_not_take_are_found_before_anything_runs(chat: Chat) -> None:
    model_id = await upload(chat, "double.onnx")
    params = [{"name": "x", "type": "f32", "shape": [2, 2], "data": [1, 2, 3, 4]}]
    error = (await chat("evaluate_model", modelId=model_id, params=params, compareWithFile="double.onnx"))["error"]
    assert (error["code"], error["outcome"]) == ("invalid_arguments", "not_evaluated")
    (problem,) = error["problems"]
    assert problem["problem"] == "has the shape [2, 2], and the model takes [1, 4] (-1 is any length)"


async def test_a_file_that_cannot_be_run_is_found_before_anything_is_spent(chat: Chat, tmp_path: Path) -> None:
    vector = {"x": (TensorProto.FLOAT, [4])}, {"y": (TensorProto.FLOAT, [4])}
    (tmp_path / "new.onnx").write_bytes(onnx_model([helper.make_node("OperatorOfTheFuture", ["x"], ["y"])], *vector))
    model_id = await upload(chat, "new.onnx")
    error = (await chat("evaluate_model", modelId=model_id, compareWithFile="new.onnx"))["error"]
    assert (error["code"], error["outcome"]) == ("file_did_not_run", "not_evaluated")
    assert error["message"].startswith("new.onnx could not be run on this machine: it cannot be loaded.")
    assert "OperatorOfTheFuture" in error["runtimeMessage"]
    params = [{"name": "x", "type": "f32", "data": [[1, 2, 3, 4]]}]
    assert (await chat("evaluate_model", modelId=model_id, params=params))["failure"][
        "code"
    ] == "invalid_executable_file"


async def test_an_evaluation_that_was_found_again_is_compared_too(upstream: Upstream, tmp_path: Path) -> None:
    (tmp_path / "double.onnx").write_bytes(doubling())
    late = http_response(evaluated(("y", [Tensor("f32", [1, 4], [2.0, 4.0, 6.0, 8.5])])))
    upstream.reply = Evaluating(b"", others={"getFinishedEvaluationResult": late})
    async with connect_chat(upstream, tmp_path) as chat:
        given = {"params": {"x": [1, 2, 3, 4]}, "compareWithFile": "double.onnx"}
        comparison = (await chat("evaluate_model", modelId="m", evaluationId="e", **given))["comparison"]
    assert (comparison["same"], comparison["largestDifference"]) == (False, 0.5)


async def test_an_endless_evaluation_goes_on_is_found_again_and_is_cancelled(tmp_path: Path) -> None:
    (tmp_path / "endless.onnx").write_bytes(endless())
    settings = Settings(sandbox=True, sandbox_data=tmp_path / "data", files=[tmp_path], call_seconds=4)
    async with Client(create_server(settings)) as client:
        chat = Chat(client)
        model_id = await upload(chat, "endless.onnx")
        params = [{"name": "x", "type": "f32", "shape": [1], "data": [1]}]
        running = await chat("evaluate_model", modelId=model_id, params=params)
        assert (running["state"], running["outcome"]) == ("running", "running")
        one = {"modelId": model_id, "evaluationId": running["evaluationId"]}
        assert (await chat("evaluate_model", **one))["state"] == "running"
        assert (await chat("evaluate_model", **one, cancel=True))["state"] == "cancelled"
        ended = await chat("evaluate_model", **one)
    assert (ended["state"], ended["failure"]["code"]) == ("failed", "cancelled")


async def test_without_the_runtime_the_sandbox_fails_as_decthings_would_and_names_the_extra(
    chat: Chat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "program.py").write_text(WITHOUT_RUNTIMES)
    monkeypatch.setattr(runner, "PYTHON", (*runner.PYTHON, str(tmp_path / "program.py")))
    result = await chat("evaluate_model", modelId=MODEL_ID, params=[ROSE])
    assert (result["failure"]["code"], result["failure"]["stage"]) == ("exception", "codeStartup")
    assert "onnxruntime is not installed (pip install 'decthings-mcp[run]')" in result["failure"]["exceptionDetails"]


async def test_without_the_runtime_a_comparison_is_refused_before_anything_is_spent(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "find_spec", dict[str, None]().get)
    result = await chat("evaluate_model", modelId=MODEL_ID, params=[ROSE], compareWithFile="flowers.onnx")
    assert (result["error"]["code"], result["error"]["outcome"]) == ("runner_missing", "not_evaluated")
    assert "'decthings-mcp[run]'" in result["nextStep"]


async def test_a_dataset_is_not_on_this_machine(chat: Chat) -> None:
    given = [{"name": "image", "datasetId": DATASET_ID, "datasetKey": "image"}]
    error = (await chat("evaluate_model", modelId=MODEL_ID, params=given, compareWithFile="flowers.onnx"))["error"]
    assert "is a dataset, which is not on this machine" in error["problems"][0]["problem"]
    failure = (await chat("evaluate_model", modelId=MODEL_ID, params=given))["failure"]
    assert "no entries" in failure["exceptionDetails"]


async def test_a_snapshot_or_a_model_that_does_not_exist_is_named(chat: Chat) -> None:
    for arguments, code in (
        ({"modelId": "none"}, "model_not_found"),
        ({"modelId": MODEL_ID, "snapshotId": "none"}, "snapshot_not_found"),
        ({"modelId": MODEL_ID, "evaluationId": "none"}, "evaluation_not_found"),
    ):
        error = (await chat("evaluate_model", **arguments))["error"]
        assert (error["code"], error["outcome"]) == (code, "not_evaluated")


async def test_callers_on_other_machines_compare_with_no_file_of_ours(tmp_path: Path) -> None:
    settings = Settings(sandbox=True, sandbox_data=tmp_path / "data", remote_callers=True)
    async with Client(create_server(settings)) as client:
        arguments = {"modelId": MODEL_ID, "compareWithFile": str(tmp_path / "flowers.onnx")}
        assert (await Chat(client)("evaluate_model", **arguments))["error"]["code"] == "file_not_allowed"
