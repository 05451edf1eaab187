"""Whatever breaks between us and Decthings, the reported outcome is true, and there is at most one model."""

import json
import sqlite3
from collections import Counter
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import support
from decthings_mcp.server.sandbox.seed import MODEL_ID
from decthings_mcp.tools.calls import retries
from fault_proxy import FAULTS, fault_proxy, models_named, times_for
from support import CREATE_STATE, EXAMPLE_SNAPSHOT, Upstream

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("fast_lookups")]


OPTIONS: dict[str, dict[str, Any]] = {
    "code": {"type": "code", "language": "go", "tags": [{"tag": "t", "value": "v"}]},
    "upload": {"type": "upload", "format": "tflite", "data": {"path": "m.tflite"}},
    "basedOnModelSnapshot": {**EXAMPLE_SNAPSHOT, "initialState": CREATE_STATE},
    "fromExisting": {"type": "fromExisting", "modelId": MODEL_ID},
}  # fmt: skip

NAMES = count()


@dataclass
class Sandbox:
    url: str
    data: Path
    files: Path


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Generator[Sandbox]:
    files = tmp_path_factory.mktemp("files")
    (files / "m.tflite").write_bytes(b"\x1c\0\0\0TFL3" + bytes(3 << 20))
    data = tmp_path_factory.mktemp("sandbox")
    with support.sandbox(data) as url:
        yield Sandbox(url, data, files)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["legacy", "auto"])
@pytest.mark.parametrize("kind", OPTIONS)
@pytest.mark.parametrize("fault", FAULTS)
async def test_create_model_reports_the_true_outcome(
    fault: str, kind: str, mode: str, sandbox: Sandbox, outcomes: dict[str, Counter[str]]
) -> None:
    name = f"model-{next(NAMES)}"
    with fault_proxy(sandbox.url, FAULTS[fault]) as proxy:
        upstream, times = Upstream(url=proxy.url), times_for(fault, proxy)
        async with support.connect_chat(upstream, sandbox.files, mode=mode, retry_seconds=0, **times) as chat:
            answer = await chat.create({"name": name, "description": "d", "options": OPTIONS[kind]})
    existing = models_named(sandbox.data, name)
    outcome = answer.get("error", answer)["outcome"]
    outcomes[fault][f"{outcome}, {len(existing)} model"] += 1
    assert proxy.calls == 1 if fault.startswith("acted") else proxy.calls <= 3
    assert len(existing) <= 1
    assert outcome in ("created", "exists") if existing else outcome in ("not_created", "unknown")
    if existing:
        assert answer["result"]["modelId"] == existing[0]
        assert "lookUp" not in answer or "differs" not in answer["lookUp"]["existing"]
    assert support.KEY not in str(answer)


TOLD_AT_ONCE = {
    "not acted, refused by a proxy", "not acted, too large", "not acted, wrong path", "not acted, redirect",
    "not acted, error frame",
}  # fmt: skip
"""What an intermediary refuses by its configuration, and what Decthings itself says."""


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["legacy", "auto"])
@pytest.mark.parametrize("kind", OPTIONS)
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_single_fault_ends_with_one_model(
    fault: str, kind: str, mode: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "_FIRST_PAUSE", 0.01)
    name = f"model-{next(NAMES)}"
    with fault_proxy(sandbox.url, FAULTS[fault], times=1) as proxy:
        upstream, times = Upstream(url=proxy.url), times_for(fault, proxy)
        async with support.connect_chat(upstream, sandbox.files, mode=mode, **times) as chat:
            answer = await chat.create({"name": name, "description": "d", "options": OPTIONS[kind]})
    existing = models_named(sandbox.data, name)
    outcome = answer.get("error", answer)["outcome"]
    if fault in TOLD_AT_ONCE:
        assert (outcome, existing) == ("not_created", [])
    else:
        assert outcome in ("created", "exists")
        assert [answer["result"]["modelId"]] == existing


async def test_an_older_model_of_the_name_is_not_the_one_requested(sandbox: Sandbox) -> None:
    name = f"model-{next(NAMES)}"
    given = {"name": name, "description": "d", "options": OPTIONS["code"]}
    async with support.connect_chat(Upstream(url=sandbox.url), sandbox.files) as chat:
        await chat.create(given)
    with closing(sqlite3.connect(sandbox.data / "decthings.sqlite3")) as store, store:  # as if made an hour ago
        (document,) = store.execute("SELECT document FROM models WHERE name = ?", (name,)).fetchone()
        older = json.loads(document) | {"createdAt": json.loads(document)["createdAt"] - 3_600_000}
        store.execute("UPDATE models SET document = ? WHERE name = ?", (json.dumps(older), name))
    with fault_proxy(sandbox.url, FAULTS["acted, web page"]) as proxy:
        async with support.connect_chat(Upstream(url=proxy.url), sandbox.files) as chat:
            answer = await chat.create({**given, "description": "other"})
    assert answer["error"]["outcome"] == "not_created"
    assert answer["error"]["lookUp"]["existing"]["differs"] == ["description"]
    assert len(models_named(sandbox.data, name)) == 1


async def test_an_older_model_that_is_as_requested_is_returned(sandbox: Sandbox) -> None:
    name = f"model-{next(NAMES)}"
    given = {"name": name, "description": "d", "options": OPTIONS["code"]}
    async with support.connect_chat(Upstream(url=sandbox.url), sandbox.files) as chat:
        model_id = (await chat.create(given))["result"]["modelId"]
    with closing(sqlite3.connect(sandbox.data / "decthings.sqlite3")) as store, store:  # as if made an hour ago
        store.execute(
            "UPDATE models SET document = json_set(document, '$.createdAt', json_extract(document, '$.createdAt') - "
            "3600000) WHERE name = ?",
            (name,),
        )
    with fault_proxy(sandbox.url, FAULTS["acted, web page"]) as proxy:
        async with support.connect_chat(Upstream(url=proxy.url), sandbox.files) as chat:
            answer = await chat.create(given)
    assert (answer["error"]["outcome"], answer["result"]["modelId"]) == ("exists", model_id)
    assert len(models_named(sandbox.data, name)) == 1


async def test_create_model_without_a_lookup_leaves_the_outcome_open(upstream: Upstream, tmp_path: Path) -> None:
    upstream.reply = support.http_response(b"", "502 Bad Gateway")
    async with support.connect_chat(upstream, tmp_path) as chat:
        error = (await chat.create({"name": "n", "description": "d", "options": OPTIONS["code"]}))["error"]
    assert (error["outcome"], error["retryable"], error["httpStatus"]) == ("unknown", True, 502)
    assert error["lookUp"]["answers"] == 0
    assert "did not respond" in error["message"]
