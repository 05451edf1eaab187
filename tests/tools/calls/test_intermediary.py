"""Responses of proxies and caches in front of Decthings: what they say proves nothing about what Decthings did."""

import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import support
from support import CODE, Request, Upstream

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("fast_lookups")]

RETRY_LATER = ("503 Service Unavailable", "text/html", "Retry-After: 0")


@dataclass
class Cache:
    """Passes requests on to a Decthings, and answers those that write with a 503 and Retry-After of its own."""

    models: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    snapshots: list[str] = field(default_factory=list[str])

    def __call__(self, __: socket.socket, request: Request) -> bytes:
        method = request.path.rpartition("/")[2]
        if method == "getModels":
            page = {"models": self.models, "total": len(self.models), "offset": 0, "limit": 100}
            return support.frame({"result": page})
        params, _ = support.decode_request(request.body)
        if method == "createModel":
            self.models.append(model(name=params["name"], createdAt=10**15))
        elif method == "snapshotModel":
            self.snapshots.append(params["snapshotName"])
        return support.http_response(b"busy", *RETRY_LATER)


def model(**more: Any) -> dict[str, Any]:
    owner = {"type": "user", "userId": "u", "username": "me"}
    return {"id": "m", "name": "n", "description": "d", "publicAccess": False, "access": "readwrite", "owner": owner,
            "language": "go", "snapshots": [], **more}  # fmt: skip


async def test_a_creation_after_a_proxys_503_is_looked_up(upstream: Upstream, tmp_path: Path) -> None:
    upstream.reply = cache = Cache()
    async with support.connect_chat(upstream, tmp_path) as chat:
        result = await chat.create({"name": "n", "description": "d", "options": CODE})
    assert len(cache.models) == 1
    assert result.get("error", result)["outcome"] != "not_created"


async def test_a_snapshot_behind_a_503_with_retry_after_is_taken_once(upstream: Upstream, tmp_path: Path) -> None:
    upstream.reply = cache = Cache([model()])
    async with support.connect_chat(upstream, tmp_path) as chat:
        result = await chat("snapshot_model", modelId="m", snapshotName="v1")
    assert cache.snapshots == ["v1"]
    assert result["error"]["outcome"] == "unknown"


async def test_a_deletion_after_a_proxys_503_is_unknown(upstream: Upstream, tmp_path: Path) -> None:
    upstream.reply = Cache([model()])
    async with support.connect_chat(upstream, tmp_path) as chat:
        error = (await chat("delete_model", modelId="m", confirmName="n"))["error"]
    assert error["outcome"] == "unknown"


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [("delete_model", {"confirmName": "n"}), ("update_model", {"publicAccess": True, "name": "x"})],
)
async def test_a_failed_look_at_the_model_before_the_change_leaves_no_doubt(
    tool: str, arguments: dict[str, Any], upstream: Upstream, tmp_path: Path
) -> None:
    upstream.reply = support.http_response(b"", "500 Internal Server Error")
    async with support.connect_chat(upstream, tmp_path, retry_seconds=0) as chat:
        error = (await chat(tool, modelId="m", **arguments))["error"]
    assert all(request.path.endswith("getModels") for request in upstream.requests)
    assert error["outcome"] == "not_done"


async def test_a_model_on_a_later_page_of_the_lookup_is_found(upstream: Upstream, tmp_path: Path) -> None:
    others = [model(id=str(number), access="read", createdAt=1) for number in range(150)]

    def reply(__: socket.socket, request: Request) -> bytes | None:
        if request.path.endswith("createModel"):
            return None
        params, _ = support.decode_request(request.body)
        models = [*others, model(createdAt=10**15)]
        offset, limit = params["offset"], params["limit"]
        page = {"models": models[offset : offset + limit], "total": len(models), "offset": offset, "limit": limit}
        headers = ("200 OK", "application/octet-stream", "Date: Mon, 23 Nov 2026 00:00:00 GMT")
        return support.http_response(support.encode_response({"result": page}), *headers)

    upstream.reply = reply
    async with support.connect_chat(upstream, tmp_path) as chat:
        result = await chat.create({"name": "n", "description": "d", "options": CODE})
    assert result["result"]["modelId"] == "m"


async def test_a_model_of_an_organization_is_not_the_one_that_was_asked_for(upstream: Upstream, tmp_path: Path) -> None:
    organization = {"type": "organization", "organizationId": "o", "organizationName": "acme"}
    page = {"models": [model(owner=organization, createdAt=1)], "total": 1, "offset": 0, "limit": 100}
    listed = support.frame({"result": page})
    upstream.reply = lambda _, request: listed if request.path.endswith("getModels") else None
    async with support.connect_chat(upstream, tmp_path) as chat:
        error = (await chat.create({"name": "n", "description": "d", "options": CODE}))["error"]
    assert (error["outcome"], "existing" in error["lookUp"]) == ("unknown", False)
