"""wait_for_model: it ends when the model is ready, or with the time that a call has."""

import socket
from pathlib import Path

import pytest
import support
from decthings_mcp.tools.calls.time_limits import MAX_CALL_SECONDS, WAIT_SHARE
from support import CREATE_STATE, EXAMPLE_SNAPSHOT, Chat

pytestmark = pytest.mark.anyio


async def test_a_read_only_failure_has_no_outcome(sandbox_chat: Chat) -> None:
    error = (await sandbox_chat("wait_for_model", modelId="none"))["error"]
    assert (error["code"], "outcome" in error) == ("model_not_found", False)


async def test_wait_for_model_reports_progress_until_the_model_is_ready(sandbox_chat: Chat) -> None:
    options = {**EXAMPLE_SNAPSHOT, "initialState": CREATE_STATE}
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


async def test_the_longest_wait_ends_with_an_ordinary_result(upstream: support.Upstream, tmp_path: Path) -> None:
    model = {"id": "m", "name": "n", "beingCreated": True}
    page = support.frame({"result": {"models": [model], "total": 1, "offset": 0, "limit": 20}})

    def talk(connection: socket.socket, request: support.Request) -> bytes | None:
        return page if request.path.endswith("getModels") else support.stay_silent(connection, request)

    upstream.reply = talk
    async with support.connect_chat(upstream, tmp_path, call_seconds=1) as chat:
        answer = await chat("wait_for_model", modelId="m", timeoutSeconds=45)
        schema = (await chat.client.list_tools()).tools[4].input_schema["properties"]["timeoutSeconds"]
    assert schema["maximum"] <= MAX_CALL_SECONDS * WAIT_SHARE
    assert answer["state"] == "creating"
    assert answer["waitedSeconds"] < 40  # and not the 45 that were asked for


@pytest.mark.parametrize("first", [support.http_response(b"", "504 Gateway Timeout"), b"nothing in time"])
async def test_a_creation_that_failed_unnoticed_is_not_reported_as_ready(
    first: bytes, upstream: support.Upstream, tmp_path: Path
) -> None:
    """A proxy stopped waiting, or we did, and then the model is not being created any more."""
    page = support.frame({"result": {"models": [{"id": "m", "beingCreated": False}], "total": 1}})
    failed = support.frame({"result": {"createModelFailed": {"error": {"code": "exception"}}}})
    waits: list[bytes] = []

    def talk(connection: socket.socket, request: support.Request) -> bytes | None:
        if request.path.endswith("getModels"):
            return page
        if waits:
            return failed
        waits.append(request.body)
        return first if first.startswith(b"HTTP") else support.stay_silent(connection, request)

    upstream.reply = talk
    async with support.connect_chat(upstream, tmp_path) as chat:
        result = await chat("wait_for_model", modelId="m", timeoutSeconds=0.5)
    assert (result["state"], result["failure"]["code"]) == ("failed", "exception")
