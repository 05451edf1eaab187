"""find_models, most on the sandbox at both revisions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import support
from decthings_mcp.server.sandbox.seed import MODEL_ID, SNAPSHOT_ID
from support import Chat

pytestmark = pytest.mark.anyio


async def test_find_models_returns_compact_models(sandbox_chat: Chat) -> None:
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


@pytest.mark.parametrize(("narrowing", "names"), [
    ({"searchName": "FLOWER"}, ["example-flower-classifier"]),
    ({"names": ["b", "c"]}, ["b"]),
    ({"ids": [MODEL_ID]}, ["example-flower-classifier"]),
    ({"tags": [{"tag": "t", "value": "1"}]}, ["b"]),
    ({"owners": ["decthings-examples"]}, ["example-flower-classifier"]),
    ({"limit": 1, "offset": 1}, ["b"]),
    ({"names": "none"}, []),
])  # fmt: skip
async def test_find_models_filters(narrowing: dict[str, Any], names: list[str], sandbox_chat: Chat) -> None:
    await sandbox_chat.new_model("a")
    await sandbox_chat.new_model("b", tags=[{"tag": "t", "value": "1"}])
    found = await sandbox_chat("find_models", **{"sort": "name", "sortDirection": "asc", **narrowing})
    assert [model["name"] for model in found["models"]] == names
    if "limit" in narrowing:
        assert (found["total"], found["nextStep"]) == (3, "1 more: call again with offset 2, or filter.")


async def test_find_models_with_detail_returns_definitions(sandbox_chat: Chat) -> None:
    (model,) = (await sandbox_chat("find_models", ids=[MODEL_ID], detail=True))["models"]
    assert model["parameterDefinitions"]["evaluateInput"][0]["rules"]["allowedTypes"] == ["image"]
    assert model["createdAt"] == "2026-01-01T00:00:00Z"


async def test_find_models_refuses_a_limit_out_of_range(sandbox_chat: Chat) -> None:
    (problem,) = (await sandbox_chat("find_models", limit=51))["error"]["problems"]
    assert problem == {"path": "limit", "problem": "must be 50 or less"}
    (problem,) = (await sandbox_chat("find_models", offset=-1))["error"]["problems"]
    assert problem == {"path": "offset", "problem": "must be 0 or more"}


async def test_find_models_bounds_odd_and_large_responses(upstream: support.Upstream, tmp_path: Path) -> None:
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
        "id": "l", "name": "n" * 5_000, "createdAt": 0,
        "snapshots": [{"id": "s" * 190, "name": "x" * 190, "createdAt": 1}] * 500,
        "tags": [{"tag": "t" * 190, "value": "v" * 190}] * 500,
        "parameterDefinitions": {"evaluateInput": [{"name": str(number)} for number in range(120)]},
    }  # fmt: skip
    upstream.reply = support.frame({"result": {"models": [odd, large], "total": 3, "offset": 0, "limit": 20}})
    async with support.connect_chat(upstream, tmp_path) as chat:
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
