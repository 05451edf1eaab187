"""Our requests against those that the official clients were seen to send."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from decthings_mcp.tools.arguments.tensors import check_tensor
from decthings_mcp.tools.decthings import ClientPool, Media, Tensor
from support import KEY, Upstream, decthings, frame, load_jsonl

ROWS = load_jsonl("requests.jsonl")


def generated(recipe: str) -> bytes:
    kind, _, argument = recipe.partition(":")
    if kind == "hex":
        return bytes.fromhex(argument)
    if kind == "utf8":
        return argument.encode()
    if kind == "seq":
        return bytes(i % 256 for i in range(int(argument)))
    seed, size = map(int, argument.split(":"))
    assert kind == "lcg"
    return linear_congruential(seed, size)


def linear_congruential(seed: int, size: int) -> bytes:
    values = bytearray()
    for _ in range(size):
        seed = (seed * 1103515245 + 12345) % 2**31
        values.append(seed >> 16 & 0xFF)
    return bytes(values)


def from_semantic(value: Any) -> Any:
    match value:
        case {"$bytes_sha256": digest, "gen": recipe}:
            data = generated(recipe)
            assert hashlib.sha256(data).hexdigest() == digest
            return data
        case {"$tensor": {"type": type_, "shape": shape, "values": values}}:
            return tensor(type_, shape, [from_semantic(v) for v in values])
        case dict():
            return {name: from_semantic(member) for name, member in value.items()}
        case list():
            return [from_semantic(item) for item in value]
        case _:
            return value


def tensor(type_: Any, shape: list[int], values: list[Any]) -> Tensor:
    if type_ in ("image", "audio", "video"):
        return Tensor(type_, shape, [Media(v["format"], v["data"]) for v in values])
    if type_ == "binary":
        return Tensor(type_, shape, values)
    # The rows write 64-bit integers and special floats as texts, as an assistant would.
    return Tensor(type_, shape, check_tensor({"type": type_, "shape": shape, "data": values})["data"])


def test_the_recording_is_whole() -> None:
    assert len(ROWS) == 71


@pytest.mark.anyio
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
async def test_a_request_equals_its_recording_byte_for_byte(
    row: dict[str, Any], client_pool: ClientPool, upstream: Upstream
) -> None:
    semantic = row["semantic"]
    params = from_semantic(semantic["params"])
    if row["path"].endswith("FS/lookup"):  # that method's client writes file names in base64
        params["name"] = base64.b64encode(params["name"].encode()).decode()
    upstream.reply = frame({"result": {}})
    client = decthings(client_pool, upstream.url, KEY if row["authorization"] else None)

    await client.call(f"{semantic['api']}/{semantic['method']}", params)

    (request,) = upstream.requests
    assert request.path == row["path"]
    assert request.headers.get("authorization") == (f"Bearer {KEY}" if row["authorization"] else None)
    assert request.headers["content-type"] == "application/octet-stream"
    assert "transfer-encoding" not in request.headers
    if "bodyBase64" in row:
        assert request.body == base64.b64decode(row["bodyBase64"])
    assert len(request.body) == row["bodyLength"]
    assert hashlib.sha256(request.body).hexdigest() == row["bodySha256"]
