"""Sending a request: what happens here after its last byte changes nothing about its outcome."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import support
from decthings_mcp.tools.decthings import BlobChanged, BlobSource, ClientPool, NoResponse
from support import Upstream

pytestmark = pytest.mark.anyio


class VanishedFile(BlobSource):
    """A file that is gone when it is to be sent."""

    def __init__(self, size: int) -> None:
        self._size = size

    @property
    def size(self) -> int:
        return self._size

    async def chunks(self) -> AsyncIterator[bytes]:
        raise BlobChanged("It is gone.")
        yield b""


def params(*files: Any) -> Any:
    state = {"method": "upload", "name": "s", "data": [{"key": str(n), "data": f} for n, f in enumerate(files)]}
    source = {"type": "basedOnModelSnapshot", "modelId": "m", "snapshotId": "s"}
    return {"name": "n", "description": "d", "options": {**source, "initialState": state}}


async def test_an_empty_file_that_vanishes_after_everything_was_sent_does_not_make_the_call_fail(
    client_pool: ClientPool, upstream: Upstream
) -> None:
    upstream.reply = support.created()
    created = await support.decthings(client_pool, upstream.url).create_model(params(b"weights", VanishedFile(0)))
    assert created["modelId"] == "m-1"


async def test_a_file_that_vanishes_before_it_is_sent_makes_the_call_fail(
    client_pool: ClientPool, upstream: Upstream
) -> None:
    upstream.reply = support.created()
    with pytest.raises(BlobChanged):
        await support.decthings(client_pool, upstream.url).create_model(params(b"weights", VanishedFile(1)))
    assert upstream.requests == []


async def test_an_error_of_a_library_after_the_request_was_sent_is_a_lost_response(
    client_pool: ClientPool, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("as of a malformed TLS record")

    monkeypatch.setattr("decthings_mcp.tools.decthings.client.read_reply", fail)
    upstream.reply = support.created()
    with pytest.raises(NoResponse) as caught:
        await support.decthings(client_pool, upstream.url).create_model(params(b"weights"))
    assert caught.value.may_have_acted


async def test_an_error_of_a_library_before_the_request_was_sent_is_passed_on(
    client_pool: ClientPool, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        raise OSError("before anything was sent")

    monkeypatch.setattr("decthings_mcp.tools.decthings.client.httpx.Timeout", fail)
    with pytest.raises(OSError, match="before anything"):
        await support.decthings(client_pool, upstream.url).create_model(params(b"weights"))
