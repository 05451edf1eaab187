"""find_models, most on the sandbox at both revisions."""

import socket
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
    assert example["snapshots"] == [{"id": SNAPSHOT_ID, "name": "v1", "createdAt": "2026-01-01T00:00:00Z"}]
    assert (own["state"], example["state"], example["ownerId"]) == ("none", "active", "decthings-examples")
    assert "may have failed" not in answer["nextStep"]
    assert (example["id"], example["owner"], example["activeState"]) == (MODEL_ID, "decthings-examples", "trained")
    assert "parameterDefinitions" not in example
    assert MODEL_ID in answer["text"]
    assert SNAPSHOT_ID in answer["text"]


@pytest.mark.parametrize(("narrowing", "names"), [
    ({"searchName": "FLOWER"}, ["example-flower-classifier"]),
    ({"names": ["b", "c"]}, ["b"]),
    ({"ids": [MODEL_ID]}, ["example-flower-classifier"]),
    ({"tags": [{"tag": "t", "value": "1"}]}, ["b"]),
    ({"tags": ["t: 1"]}, ["b"]),
    ({"tags": "t:1"}, ["b"]),
    ({"tags": '{"tag": "t", "value": "1"}'}, ["b"]),
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


async def test_a_filter_that_is_no_tag_is_refused(sandbox_chat: Chat) -> None:
    problems = (await sandbox_chat("find_models", tags=["t", {"tag": "t"}, 1]))["error"]["problems"]
    assert [problem["path"] for problem in problems] == ["tags[0]", "tags[1]", "tags[2]"]
    assert {problem["problem"] for problem in problems} == {'must look like "tag: value"'}


async def test_owners_are_found_by_name_and_by_id(sandbox_chat: Chat) -> None:
    await sandbox_chat.new_model("a")
    (own,) = (await sandbox_chat("find_models", names=["a"]))["models"]
    assert own["owner"] != own["ownerId"]
    for owner in (own["owner"], own["owner"].upper(), own["ownerId"]):
        assert [model["name"] for model in (await sandbox_chat("find_models", owners=[owner]))["models"]] == ["a"]
    both = await sandbox_chat("find_models", owners=[own["owner"], "decthings-examples"])
    assert both["total"] == 2
    nobody = await sandbox_chat("find_models", owners=["nobody"])
    assert (nobody["total"], "ids always work" in nobody["nextStep"]) == (0, True)
    datasets = await sandbox_chat("find_datasets", owners=["Decthings-Examples"])
    assert datasets["total"] == 1


async def test_a_search_says_what_was_not_searched(sandbox_chat: Chat) -> None:
    found = await sandbox_chat("find_models", searchName="picture")
    assert (found["total"], "not in descriptions" in found["nextStep"]) == (0, True)


async def test_snapshots_come_newest_first(upstream: support.Upstream, tmp_path: Path) -> None:
    snapshots = [{"id": str(at), "name": "v", "createdAt": at * 1000} for at in (2, 3, 1)] + [{"id": "undated"}]
    model = {"id": "m", "name": "n", "snapshots": snapshots}
    upstream.reply = support.frame({"result": {"models": [model], "total": 1, "offset": 0, "limit": 20}})
    async with support.connect_chat(upstream, tmp_path) as chat:
        for detail in (False, True):
            (found,) = (await chat("find_models", detail=detail))["models"]
            assert [snapshot["id"] for snapshot in found["snapshots"]] == ["3", "2", "1", "undated"]
            assert found["snapshots"][0]["createdAt"] == "1970-01-01T00:00:03Z"


async def test_owner_names_are_looked_for_beyond_the_first_page(upstream: support.Upstream, tmp_path: Path) -> None:
    def item(number: int) -> dict[str, Any]:
        owner = {"type": "organization", "organizationId": f"o-{number}", "organizationName": f"Org {number}"}
        return {"id": str(number), "name": "n", "owner": owner}

    def talk(__: socket.socket, request: support.Request) -> bytes:
        params, _ = support.decode_request(request.body)
        offset = params.get("offset", 0)
        page = [item(number) for number in range(offset, min(offset + params["limit"], 150))]
        return support.frame({"result": {"models": page, "total": 150, "offset": offset, "limit": 100}})

    upstream.reply = talk
    async with support.connect_chat(upstream, tmp_path) as chat:
        await chat("find_models", owners=["org 120", "o-7"])
    assert upstream.last_call()[0]["filter"]["owners"] == ["o-120", "o-7"]


async def test_texts_of_others_are_named_as_such(sandbox_chat: Chat) -> None:
    found = await sandbox_chat("find_models")
    assert {"models.description", "models.tags", "models.name"} <= set(found["textOfOthers"])


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
