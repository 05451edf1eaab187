"""The official Python client against the sandbox, in everything that it does right."""

import warnings
from collections.abc import Generator
from typing import Any

import pytest
from decthings_mcp.server.sandbox.seed import DATASET_ID, DATASET_KEY, MODEL_ID, example_file
from evaluation_support import picture
from support import CREATE_STATE, EXAMPLE_SNAPSHOT

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its own dependencies' affair
    from decthings_api.client_sync import DecthingsClientSync
    from decthings_api.tensor import DecthingsTensor


@pytest.fixture
def client(sandbox_url: str) -> Generator[Any]:
    client = DecthingsClientSync("some-key", http_server_address=sandbox_url)
    yield client
    client.close()


def create(client: Any, name: str, **options: Any) -> str:
    result, error = client.model.create_model({"name": name, "description": "d", "options": options})
    assert error is None
    return result["modelId"]


def names(client: Any, **params: Any) -> list[str]:
    result, error = client.model.get_models(params)
    assert error is None
    return [model["name"] for model in result["models"]]


def test_the_official_client_creates_models_in_all_its_ways(client: Any) -> None:
    create(client, "code", type="code", language="python", preset="pytorch")
    create(client, "upload", type="upload", format="onnx", data=bytes(300))
    create(client, "duplicate", type="fromExisting", modelId=MODEL_ID)
    create(client, "copy", **EXAMPLE_SNAPSHOT, initialState={"method": "copy"})
    files = [{"key": "w", "data": b"weights"}, {"key": "b", "data": b""}]
    create(client, "state", **EXAMPLE_SNAPSHOT, initialState={"method": "upload", "name": "s", "data": files})
    assert set(names(client)) == {"code", "upload", "duplicate", "copy", "state", "example-flower-classifier"}


def test_the_official_client_waits_for_an_initial_state(client: Any) -> None:
    dataset = {"type": "dataset", "datasetId": DATASET_ID, "datasetKey": DATASET_KEY}
    state = {**CREATE_STATE, "params": [{"name": "images", "data": dataset}]}
    model_id = create(client, "created", **EXAMPLE_SNAPSHOT, initialState=state)
    assert client.model.get_models({"filter": {"ids": [model_id]}})[0]["models"][0]["beingCreated"] is True
    result, error = client.model.wait_for_model_to_be_created({"modelId": model_id})
    assert error is None
    assert "createModelSuccess" in result
    assert client.model.get_models({"filter": {"ids": [model_id]}})[0]["models"][0]["beingCreated"] is False
    assert client.model.wait_for_model_to_be_created({"modelId": model_id}) == (None, {"code": "model_already_created"})


def test_the_official_client_builds_on_a_snapshot(client: Any) -> None:
    model_id = create(client, "mine", type="code", language="go")
    result, error = client.model.snapshot_model({"modelId": model_id, "snapshotName": "v1"})
    assert error is None
    options = {**EXAMPLE_SNAPSHOT, "modelId": model_id, "snapshotId": result["snapshotId"]}
    create(client, "next", **options, initialState={"method": "copy"})
    (model,) = client.model.get_models({"filter": {"names": ["next"]}})[0]["models"]
    expected = {"modelId": model_id, "snapshotId": result["snapshotId"], "noLongerExists": False}
    assert model["basedOnSnapshot"] == expected


def test_the_official_client_updates_and_deletes(client: Any) -> None:
    model_id = create(client, "mine", type="code", language="go")
    assert client.model.update_model({"modelId": model_id, "properties": {"name": "renamed"}}) == ({}, None)
    assert names(client, filter={"searchName": "NAME"}) == ["renamed"]
    assert client.model.delete_model({"modelId": model_id}) == ({}, None)
    assert client.model.delete_model({"modelId": model_id}) == (None, {"code": "model_not_found"})


def test_the_official_client_finds_datasets(client: Any) -> None:
    tags = [{"tag": "type", "value": "image-classification"}]
    result, error = client.dataset.get_datasets({"filter": {"tags": tags}})
    assert error is None
    assert [dataset["id"] for dataset in result["datasets"]] == [DATASET_ID]


def test_the_official_client_evaluates(client: Any) -> None:
    image = picture(210, 30, 50)
    model_id = create(client, "flowers", type="upload", format="onnx", data=example_file())
    pixels = DecthingsTensor(list(image), "u8", [len(image)])
    result, error = client.model.evaluate({"modelId": model_id, "params": [{"name": "image", "data": [pixels]}]})
    assert error is None
    label, scores = result["success"]["output"]
    assert (label["name"], [tensor.item() for tensor in label["data"]]) == ("label", ["rose"])
    assert (scores["name"], [tensor.shape() for tensor in scores["data"]]) == ("scores", [[5]])
    listed, _ = client.model.get_evaluations({"modelId": model_id})
    (finished,) = listed["finished"]
    assert (listed["running"], finished["success"]) == ([], True)
    one = {"modelId": model_id, "evaluationId": finished["id"]}
    assert client.model.get_finished_evaluation_result(one)[0]["success"]["totalDuration"] > 0
    assert client.model.cancel_evaluation({**one, "evaluationId": "none"}) == (None, {"code": "evaluation_not_found"})


def test_the_official_client_gets_bad_credentials(sandbox_url: str) -> None:
    for key in (None, "bad-key"):
        client = DecthingsClientSync(key, http_server_address=sandbox_url)
        assert client.model.get_models({}) == (None, {"code": "bad_credentials"})
        client.close()
