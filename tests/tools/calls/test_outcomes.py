"""The outcome of snapshot_model, update_model and delete_model when Decthings' response is lost."""

from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Any

import pytest
import support
from fault_proxy import FAULTS, fault_proxy, times_for
from support import Chat, Upstream

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("fast_lookups")]

METHODS = {"snapshot_model": "snapshotModel", "update_model": "updateModel", "delete_model": "deleteModel"}
LOST = [
    "acted, answer ends at byte 0", "acted, reset at byte 20", "acted, silence", "acted, status 502 Bad Gateway",
    "acted, JSON is broken", "acted, result is null", "acted, not HTTP",
    "not acted, closed", "not acted, reset", "not acted, silence", "not acted, bad gateway", "not acted, too large",
]  # fmt: skip


@pytest.fixture(scope="module")
def sandbox_url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    with support.sandbox(tmp_path_factory.mktemp("sandbox")) as url:
        yield url


@pytest.fixture
async def direct(sandbox_url: str, tmp_path: Path) -> AsyncGenerator[Chat]:
    """Past every fault: what it shows is the truth."""
    async with support.connect_chat(Upstream(url=sandbox_url), tmp_path) as chat:
        yield chat


def arguments(tool: str, model_id: str, name: str) -> dict[str, Any]:
    more = {"snapshot_model": {"snapshotName": "v1"}, "update_model": {"description": "new", "tags": []},
            "delete_model": {"confirmName": name}}  # fmt: skip
    return {"modelId": model_id, **more[tool]}


def is_done(tool: str, models: list[dict[str, Any]]) -> bool:
    if tool == "delete_model":
        return not models
    (model,) = models
    return bool(model["snapshots"]) if tool == "snapshot_model" else model["description"] == "new"


@pytest.mark.parametrize("tool", METHODS)
@pytest.mark.parametrize("fault", LOST)
async def test_a_write_outcome_is_true(fault: str, tool: str, sandbox_url: str, direct: Chat, tmp_path: Path) -> None:
    name = f"{tool} {fault}"
    model_id = await direct.new_model(name)
    with fault_proxy(sandbox_url, FAULTS[fault], METHODS[tool]) as proxy:
        times = times_for(fault, proxy)
        async with support.connect_chat(Upstream(url=proxy.url), tmp_path, retry_seconds=0, **times) as chat:
            answer = await chat(tool, **arguments(tool, model_id, name))
        assert proxy.calls == 1 if tool == "snapshot_model" or fault.startswith("acted") else proxy.calls <= 3
    done = is_done(tool, (await direct("find_models", ids=[model_id], detail=True))["models"])
    outcome = answer.get("error", answer)["outcome"]
    assert done == fault.startswith("acted")
    found = "exists" if tool == "snapshot_model" else "done"
    assert outcome == found if done else outcome in ("not_done", "unknown")
    if done:
        assert answer["lookUp"]["answers"] == 1
    elif outcome == "unknown":
        assert "find_models" in answer["nextStep"] or "Make the same call again" in answer["nextStep"]


async def test_a_write_without_any_response_leaves_the_outcome_open(upstream: Upstream, tmp_path: Path) -> None:
    upstream.reply = support.http_response(b"", "502 Bad Gateway")
    async with support.connect_chat(upstream, tmp_path) as chat:
        for tool in ("snapshot_model", "update_model"):
            error = (await chat(tool, **arguments(tool, "m", "n")))["error"]
            assert (error["outcome"], error["lookUp"]["answers"]) == ("unknown", 0)
