"""The embedded Decthings over HTTP: strict about the wire, and honest about what it refuses."""

import os
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import support
from decthings_mcp.server.sandbox.seed import DATASET_ID, DATASET_KEY, MODEL_ID, SNAPSHOT_ID
from decthings_mcp.server.sandbox.store import Store
from decthings_mcp.tools.decthings import ApiError, ClientPool, DecthingsClient, Tensor
from decthings_mcp.tools.decthings.types import CreateModelParams
from support import CODE, CREATE_STATE, EXAMPLE_SNAPSHOT

pytestmark = pytest.mark.anyio

COPY = {"method": "copy"}


def params(options: Any, name: str = "n") -> CreateModelParams:
    return {"name": name, "description": "d", "options": options}


def from_params(*providers: Any) -> Any:
    return {**EXAMPLE_SNAPSHOT, "initialState": {**CREATE_STATE, "params": list(providers)}}


@pytest.fixture
async def http() -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, timeout=10, verify=support.NO_CERTIFICATES) as client:
        yield client


@pytest.fixture
def client(client_pool: ClientPool, sandbox_url: str) -> DecthingsClient:
    return support.decthings(client_pool, sandbox_url)


REFUSED: list[tuple[Any, dict[str, Any]]] = [
    ({"type": "fromExisting", "modelId": "none"}, {"code": "model_not_found"}),
    ({"type": "fromExisting", "modelId": MODEL_ID, "snapshotId": "none"}, {"code": "snapshot_not_found"}),
    ({**EXAMPLE_SNAPSHOT, "snapshotId": "none", "initialState": COPY}, {"code": "snapshot_not_found"}),
    (from_params({"name": "p", "data": {"type": "dataset", "datasetId": "none", "datasetKey": "k"}}),
     {"code": "dataset_not_found", "datasetId": "none"}),
    (from_params({"name": "p", "data": {"type": "dataset", "datasetId": DATASET_ID, "datasetKey": "none"}}),
     {"code": "dataset_key_not_found", "datasetId": DATASET_ID, "datasetKey": "none"}),
    ({**CODE, "language": "cobol"}, {"code": "invalid_parameter", "parameterName": "options.language"}),
    ({**CODE, "preset": "cobol"}, {"code": "invalid_parameter", "parameterName": "options.preset"}),
    ({"type": "code"}, {"code": "invalid_parameter", "parameterName": "options.language"}),
    ({"type": "upload", "format": "onnx"}, {"code": "invalid_parameter", "parameterName": "options.data"}),
    ({**CODE, "data": b"x"}, {"code": "invalid_parameter", "parameterName": "options"}),
    (from_params({"name": "p", "data": b"\x07\x01"}),
     {"code": "invalid_parameter", "parameterName": "options.initialState.params.p"}),
]  # fmt: skip


@pytest.mark.parametrize(("options", "error"), REFUSED)
async def test_sandbox_errors_are_documented(options: Any, error: dict[str, Any], client: DecthingsClient) -> None:
    with pytest.raises(ApiError) as caught:
        await client.create_model(params(options))
    refusal = {"code": caught.value.code, **caught.value.details}
    refusal.pop("reason", None)
    assert refusal == error
    assert (await client.get_models({"filter": {"names": ["n"]}}))["total"] == 0


async def test_names_are_unique_per_owner(client_pool: ClientPool, sandbox_url: str) -> None:
    mine, theirs = (support.decthings(client_pool, sandbox_url, key) for key in ("mine", "theirs"))
    await mine.create_model(params(CODE))
    await theirs.create_model(params(CODE))
    for _ in range(2):
        with pytest.raises(ApiError, match="name_already_used"):
            await mine.create_model(params(CODE))
    assert (await mine.get_models({"filter": {"names": ["n"]}}))["total"] == 1


async def test_only_one_of_many_at_once_gets_a_name(client_pool: ClientPool, sandbox_url: str) -> None:
    client = support.decthings(client_pool, sandbox_url)
    outcomes: list[str] = []

    async def create() -> None:
        try:
            await client.create_model(params(CODE))
            outcomes.append("created")
        except ApiError as error:
            outcomes.append(error.code)

    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(create)
    assert sorted(outcomes) == ["created"] + ["name_already_used"] * 9


async def test_others_models_are_out_of_reach(client_pool: ClientPool, sandbox_url: str) -> None:
    mine, theirs = (support.decthings(client_pool, sandbox_url, key) for key in ("mine", "theirs"))
    model_id = (await mine.create_model(params(CODE)))["modelId"]
    with pytest.raises(ApiError, match="model_not_found"):
        await theirs.delete_model(model_id)
    with pytest.raises(ApiError, match="access_denied"):
        await mine.delete_model(MODEL_ID)
    with pytest.raises(ApiError, match="access_denied"):
        await mine.update_model(MODEL_ID, {"name": "stolen"})
    with pytest.raises(ApiError, match="access_denied"):
        await mine.snapshot_model(MODEL_ID, "v2")


async def test_an_initial_state_is_made_with_inline_tensors(client: DecthingsClient) -> None:
    inline = {"name": "lr", "data": {"type": "data", "data": [Tensor("f32", [], [0.5])]}}
    dataset = {"name": "im", "data": {"type": "dataset", "datasetId": DATASET_ID, "datasetKey": DATASET_KEY}}
    created = await client.create_model(params(from_params(dataset, inline)))
    assert created.get("isNowCreating") is True
    await client.delete_model(created["modelId"])
    with pytest.raises(ApiError, match="model_not_found"):
        await client.wait_for_model_to_be_created(created["modelId"])


async def test_uploads_are_kept(client: DecthingsClient, tmp_path: Path) -> None:
    created = await client.create_model(params({"type": "upload", "format": "tflite", "data": b"model"}))
    (kept,) = (tmp_path / "sandbox" / "uploads" / created["modelId"]).iterdir()
    assert kept.read_bytes() == b"model"
    uploads = {path.name for path in (tmp_path / "sandbox" / "uploads").iterdir()}
    assert uploads == {created["modelId"], MODEL_ID}


async def test_models_outlive_the_process_and_are_listed_page_by_page(client_pool: ClientPool, tmp_path: Path) -> None:
    with support.sandbox(tmp_path) as url:
        for name in ("a", "b", "c"):
            await support.decthings(client_pool, url).create_model(params(CODE, name))
    with support.sandbox(tmp_path) as url:
        client = support.decthings(client_pool, url)
        page = await client.get_models({"sort": "name", "sortDirection": "asc", "offset": 1, "limit": 2})
        assert [model["name"] for model in page["models"]] == ["b", "c"]
        assert (page["total"], page["offset"], page["limit"]) == (4, 1, 2)
        tags: Any = [{"tag": "type", "value": "image-classifier"}]
        (example,) = (await client.get_models({"filter": {"tags": tags}}))["models"]
        assert (example["id"], example["access"], example["snapshots"][0]["id"]) == (MODEL_ID, "read", SNAPSHOT_ID)
        owner = page["models"][0]["owner"]["userId"]
        assert (await client.get_models({"filter": {"owners": [owner]}}))["total"] == 3
        with pytest.raises(ApiError, match="invalid_parameter"):
            await client.get_models({"limit": -1})


FRAME = b"\x00\x02{}"
HTTP_ERRORS: dict[str, tuple[str, bytes, int]] = {
    "no such api": ("Nothing/getModels", FRAME, 404),
    "no such method": ("Model/getmodels", FRAME, 404),
    "empty": ("Model/getModels", b"", 400),
    "cut off": ("Model/getModels", b"\x00\x02{", 400),
    "cut off in a length": ("Model/getModels", b"\x00\xfd\x00", 400),
    "cut off in a blob": ("Model/createModel", b"\x01\x02\x05{}abc", 400),
    "bytes after the frame": ("Model/getModels", FRAME + b"x", 400),
    "not an object": ("Model/getModels", b"\x00\x02[]", 400),
    "not JSON": ("Model/getModels", b"\x00\x02{\xff", 400),
    "too long": ("Model/getModels", b"\x00\xff\x00\x00\x00\xff\x00\x00\x00\x00{}", 400),
}


@pytest.mark.parametrize(("path", "body", "status"), HTTP_ERRORS.values(), ids=HTTP_ERRORS)
async def test_the_sandbox_refuses_malformed_calls(
    path: str, body: bytes, status: int, http: httpx.AsyncClient, sandbox_url: str
) -> None:
    headers = {"Content-Type": "application/octet-stream", "Authorization": "Bearer k"}
    assert (await http.post(f"{sandbox_url}/{path}", content=body, headers=headers)).status_code == status


async def test_the_sandbox_refuses_another_content_type(http: httpx.AsyncClient, sandbox_url: str) -> None:
    response = await http.post(f"{sandbox_url}/Model/getModels", content=FRAME, headers={"Authorization": "Bearer k"})
    assert response.status_code == 400
    assert response.headers["server"].startswith("decthings-mcp-sandbox/")


async def test_the_client_knows_that_it_talks_to_a_sandbox(client: DecthingsClient) -> None:
    assert not client.in_sandbox
    await client.get_datasets()
    assert client.in_sandbox


async def test_remains_of_a_killed_process_are_removed_after_a_day(tmp_path: Path) -> None:
    for name, age in (("tmp-old", 90_000), ("tmp-new", 60)):
        folder = tmp_path / "uploads" / name
        folder.mkdir(parents=True)
        (folder / "0").write_bytes(b"x")
        os.utime(folder, times=(time.time(), time.time() - age))
    Store(tmp_path)
    assert [path.name for path in (tmp_path / "uploads").iterdir()] == ["tmp-new"]
