"""The requests of the client: keys, connections, uploads, and calls that end before a response."""

import asyncio
import gc
import socket
import struct
import weakref
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from typing import Any

import anyio
import httpx
import pytest
import support
from decthings_mcp.tools.decthings import (
    ApiError,
    BlobChanged,
    BlobSource,
    ClientPool,
    ConnectionFailed,
    DecthingsClient,
    DecthingsError,
    InvalidRequest,
    NoResponse,
    RequestInterrupted,
    Tensor,
    Timeouts,
    TooManyCalls,
)
from decthings_mcp.tools.decthings import client_pool as decthings_connections
from decthings_mcp.tools.decthings import sending as sending_module
from decthings_mcp.tools.decthings.client import CURRENT_API_KEY
from decthings_mcp.tools.decthings.sending import RequestBody, SendProgress, transport_error
from decthings_mcp.tools.decthings.types import CreateModelParams, ListParams
from decthings_mcp.tools.decthings.wire import decode_response, encode_response
from pydantic import SecretStr
from support import Request, Upstream, created, decthings, frame, stay_silent

pytestmark = pytest.mark.anyio

PARAMS: CreateModelParams = {"name": "n", "description": "", "options": {"type": "code", "language": "go"}}


async def test_a_created_model_is_returned(client: DecthingsClient, upstream: Upstream) -> None:
    upstream.reply = frame({"result": {"modelId": "m-1", "isNowCreating": True, "new": 1}, "error": None, "more": 2})
    assert await client.create_model(PARAMS) == {"modelId": "m-1", "isNowCreating": True}


async def test_whether_a_model_is_created_now_may_be_left_out(client: DecthingsClient, upstream: Upstream) -> None:
    upstream.reply = frame({"result": {"modelId": "m-1"}})
    assert await client.create_model(PARAMS) == {"modelId": "m-1"}


@pytest.mark.parametrize(("server", "expected"), [("decthings-mcp-sandbox/1", True), ("nginx", False)])
async def test_a_sandbox_is_recognized_by_its_name(
    server: str, expected: bool, client: DecthingsClient, upstream: Upstream
) -> None:
    upstream.reply = created().replace(b"\r\n", f"\r\nServer: {server}\r\n".encode(), 1)
    await client.create_model(PARAMS)
    assert client.in_sandbox is expected


async def test_a_client_begins_without_a_judgement_of_its_server_and_key(client_pool: ClientPool) -> None:
    client = decthings(client_pool, "http://x")
    assert (client.in_sandbox, client.key_refused) == (False, False)


@pytest.mark.parametrize(("code", "refused"), [("bad_credentials", True), ("quota_exceeded", False)])
async def test_a_key_is_refused_by_one_error_only(
    code: str, refused: bool, client: DecthingsClient, upstream: Upstream
) -> None:
    upstream.reply = frame({"error": {"code": code}})
    with pytest.raises(ApiError):
        await client.create_model(PARAMS)
    assert client.key_refused is refused
    upstream.reply = b""
    with pytest.raises(NoResponse):
        await client.create_model(PARAMS)
    assert client.key_refused is False


async def test_the_url_may_end_with_a_slash(client_pool: ClientPool, upstream: Upstream) -> None:
    upstream.reply = created()
    await decthings(client_pool, f"{upstream.url}/").create_model(PARAMS)
    (request,) = upstream.requests
    assert (request.path, request.headers["accept-encoding"]) == ("/v0/Model/createModel", "identity")


async def test_a_call_is_reported_with_its_time_and_the_key_that_the_log_hides(
    client_pool: ClientPool, upstream: Upstream
) -> None:
    reported: list[tuple[float, Any]] = []

    def on_call(_name: str, _error: Any, _sent: int, seconds: float) -> None:
        reported.append((seconds, CURRENT_API_KEY.get()))

    upstream.reply = created()
    key = SecretStr("one")
    await DecthingsClient(client_pool, upstream.url, key, on_call=on_call).create_model(PARAMS)
    ((seconds, hidden),) = reported
    assert 0 < seconds < 60
    assert hidden is key


async def test_a_call_without_an_upload_has_a_limit_of_time(client_pool: ClientPool, upstream: Upstream) -> None:
    upstream.reply = stay_silent
    client = DecthingsClient(client_pool, upstream.url, SecretStr("k"), timeouts=Timeouts(request=0.1))
    with anyio.fail_after(15), pytest.raises(NoResponse, match="TimeoutError"):
        await client.create_model(PARAMS)


async def test_connections_are_reused(client: DecthingsClient, upstream: Upstream) -> None:
    upstream.reply = created()
    for _ in range(3):
        await client.create_model(PARAMS)
    assert (len(upstream.requests), upstream.connections) == (3, 1)


async def test_a_call_cancelled_in_a_proxy_handshake_frees_its_connection() -> None:
    connected, hung_up = asyncio.Event(), asyncio.Event()

    async def never_get_through(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await reader.read(1)  # TLS begins
        connected.set()
        await reader.read()
        hung_up.set()
        writer.close()

    async with await asyncio.start_server(never_get_through, "127.0.0.1", 0) as listening:
        proxy = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        async with ClientPool(partial(httpx.AsyncClient, trust_env=False, proxy=proxy)) as client_pool:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(decthings(client_pool, "https://decthings.invalid/v0").create_model, PARAMS)
                await connected.wait()
                tasks.cancel_scope.cancel()
            with anyio.fail_after(30):
                await hung_up.wait()


async def test_chunks_grow_while_the_connection_is_fast_and_shrink_while_it_is_slow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, sizes = [0.0], list[int]()
    monkeypatch.setattr(sending_module, "monotonic", lambda: clock[0])
    body = RequestBody(b"", [Pieces(bytes(8 << 20), size=8 << 20)], SendProgress())
    async for chunk in body:
        sizes.append(len(chunk) >> 10)
        clock[0] += 0.01 if len(sizes) < 7 else 0.2
    assert sizes[:6] == [64, 128, 256, 512, 1024, 1024]
    assert sizes[6:13] == [1024, 512, 256, 128, 64, 64, 64]
    assert sum(sizes) == 8 << 10


async def test_a_refused_connection_created_nothing(client_pool: ClientPool) -> None:
    with pytest.raises(ConnectionFailed, match="the connection was refused") as caught:
        await decthings(client_pool, support.unreachable().url).create_model(PARAMS)
    assert not caught.value.may_have_acted


class Pieces(BlobSource):
    """Yields less than it announces, or fails."""

    def __init__(self, *chunks: bytes, size: int, error: Exception | None = None) -> None:
        self._pieces, self._size, self._error = chunks, size, error

    @property
    def size(self) -> int:
        return self._size

    async def chunks(self) -> AsyncIterator[bytes]:
        for chunk in self._pieces:
            yield chunk
        if self._error:
            raise self._error


async def test_an_upload_over_a_slow_connection_succeeds() -> None:
    small_buffer = [(socket.SOL_SOCKET, socket.SO_SNDBUF, 32 << 10)]
    with support.upstream(created(), slowly=(64 << 10, 0.04)) as slow:  # 1.6 MB a second
        transport = httpx.AsyncHTTPTransport(socket_options=small_buffer)
        async with ClientPool(lambda: httpx.AsyncClient(transport=transport)) as client_pool:
            client = DecthingsClient(client_pool, slow.url, timeouts=Timeouts(send=0.4))
            blob = Pieces(bytes(1 << 20), bytes(1 << 20), size=2 << 20)
            params: CreateModelParams = {**PARAMS, "options": {"type": "upload", "format": "onnx", "data": blob}}
            assert await client.create_model(params)


def upload(data: Any) -> CreateModelParams:
    return {"name": "n", "description": "", "options": {"type": "upload", "format": "onnx", "data": data}}


async def test_a_blob_that_changes_in_transit_ends_the_request(client: DecthingsClient, upstream: Upstream) -> None:
    blob = Pieces(b"abc", size=10, error=BlobChanged("changed"))
    with pytest.raises(BlobChanged) as caught:
        await client.create_model(upload(blob))
    assert not caught.value.may_have_acted
    assert upstream.requests == []


async def test_a_connection_that_breaks_within_the_request_created_nothing(client_pool: ClientPool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/v0"
        blob = Pieces(*[bytes(1 << 20)] * 64, size=64 << 20)
        opened: list[socket.socket] = []

        async def hang_up_at_once(*_: object) -> None:
            if not opened:
                opened.append(listening.accept()[0])
                opened[0].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                opened[0].close()

        with pytest.raises(RequestInterrupted, match=r"\((Write|Read)Error\)") as caught:
            await decthings(client_pool, url).create_model(upload(blob), hang_up_at_once)
    assert not caught.value.may_have_acted


async def test_a_failed_call_does_not_keep_its_request(client: DecthingsClient, upstream: Upstream) -> None:
    upstream.reply = frame({"error": {"code": "quota_exceeded"}})
    blob = Pieces(b"abc", size=3)
    kept = weakref.ref(blob)
    gc.disable()
    try:
        with suppress(ApiError):
            await client.create_model(upload(blob))
        del blob
        assert kept() is None
    finally:
        gc.enable()


async def test_pieces_are_counted_as_they_are_sent(client: DecthingsClient, upstream: Upstream) -> None:
    upstream.reply = created()
    counts: list[tuple[int, int]] = []

    async def on_sent(sent: int, total: int) -> None:
        counts.append((sent, total))

    await client.create_model(upload(Pieces(b"abc", b"defg", size=7)), on_sent)
    total = len(upstream.requests[0].body)
    assert counts == [(total - 7, total), (total - 4, total), (total, total)]
    assert upstream.requests[0].body.endswith(b"abcdefg")


async def test_255_blobs_are_sent_and_a_256th_is_refused(client: DecthingsClient, upstream: Upstream) -> None:
    def params(count: int) -> CreateModelParams:
        files: Any = [{"key": str(i), "data": bytes([i % 256])} for i in range(count)]
        state: Any = {"method": "upload", "name": "s", "data": files}
        return {"name": "n", "description": "", "options": {
            "type": "basedOnModelSnapshot", "modelId": "m", "snapshotId": "s", "initialState": state}}  # fmt: skip

    upstream.reply = created()
    await client.create_model(params(255))
    assert upstream.requests[0].body.endswith(bytes(i % 256 for i in range(255)))
    with pytest.raises(InvalidRequest, match=r"at most 255 .* has 256"):
        await client.create_model(params(256))
    assert len(upstream.requests) == 1


@pytest.mark.parametrize(
    "params",
    [{"name": "\ud800"}, {"cpus": float("nan")}, {"params": [{"name": "p", "data": {
        "type": "data", "data": [Tensor("u8", [1], [256])]}}]}],
)  # fmt: skip
async def test_params_that_cannot_be_encoded_are_not_sent(
    params: dict[str, Any], client: DecthingsClient, upstream: Upstream
) -> None:
    with pytest.raises(InvalidRequest):
        await client.call("Model/createModel", params)
    assert upstream.connections == 0


async def test_a_key_that_is_no_header_is_not_sent(client_pool: ClientPool, upstream: Upstream) -> None:
    with pytest.raises(InvalidRequest, match=r"^The request could not be sent as HTTP\.$"):
        await decthings(client_pool, upstream.url, "two\nlines").create_model(PARAMS)


async def test_a_time_out_before_anything_was_sent_is_a_failed_connection() -> None:
    error = transport_error(TimeoutError(), SendProgress())
    assert (type(error), str(error)) == (
        ConnectionFailed,
        "Could not connect to Decthings: the connection timed out.",
    )


def test_blobs_of_a_response_are_read() -> None:
    blobs = [b"", b"x" * 300]
    assert decode_response(encode_response({"result": {}}, blobs)) == ({"result": {}}, blobs)


async def test_client_methods_read_their_results(client: DecthingsClient, upstream: Upstream) -> None:
    page = {"models": [{"id": "m"}], "total": 1, "offset": 0, "limit": 20}
    upstream.reply = frame({"result": page})
    assert await client.get_models() == page
    upstream.reply = frame({"result": {"snapshotId": "s"}})
    assert await client.snapshot_model("m", "v1") == "s"
    upstream.reply = frame({"result": {"createModelSuccess": {}}})
    assert await client.wait_for_model_to_be_created("m", timeout=5) == {"createModelSuccess": {}}


async def test_each_method_calls_its_own(client: DecthingsClient, upstream: Upstream) -> None:
    upstream.reply = frame({"result": {"datasets": [], "total": 0, "snapshotId": "s", "createModelSuccess": {}}})
    listing: ListParams = {"limit": 3, "filter": {"searchName": "x"}}
    await client.get_datasets(listing)
    await client.delete_model("m")
    await client.update_model("m", {"name": "n"})
    await client.snapshot_model("m", "v")
    await client.wait_for_model_to_be_created("m")
    assert [(request.path.removeprefix("/v0/"), support.decode_request(request.body)[0])
            for request in upstream.requests] == [
        ("Dataset/getDatasets", listing),
        ("Model/deleteModel", {"modelId": "m"}),
        ("Model/updateModel", {"modelId": "m", "properties": {"name": "n"}}),
        ("Model/snapshotModel", {"modelId": "m", "snapshotName": "v"}),
        ("Model/waitForModelToBeCreated", {"modelId": "m"}),
    ]  # fmt: skip


async def test_a_client_for_another_account_shares_all_but_the_key(client_pool: ClientPool, upstream: Upstream) -> None:
    calls: list[tuple[str, DecthingsError | None, int]] = []
    upstream.reply = created()
    first = DecthingsClient(
        client_pool,
        upstream.url,
        SecretStr("one"),
        on_call=lambda name, error, sent, _: calls.append((name, error, sent)),
    )
    await first.with_key(SecretStr("two")).create_model(PARAMS)
    await first.create_model(PARAMS)
    assert [request.headers["authorization"] for request in upstream.requests] == ["Bearer two", "Bearer one"]
    assert calls == [("createModel", None, len(upstream.requests[0].body))] * 2


async def test_calls_beyond_the_connections_are_told_and_those_that_last_have_their_own(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decthings_connections, "MAX_SHORT_CALLS", 2)
    full = asyncio.Event()
    loop = asyncio.get_running_loop()

    def answer_or_not(connection: socket.socket, request: Request) -> bytes | None:
        if request.path.endswith("getDatasets"):
            return frame({"result": {"datasets": [], "total": 0}})
        if len(upstream.requests) == 4:
            loop.call_soon_threadsafe(full.set)
        return stay_silent(connection, request)

    upstream.reply = answer_or_not
    async with (
        ClientPool(partial(httpx.AsyncClient, trust_env=False)) as client_pool,
        anyio.create_task_group() as tasks,
    ):
        client = decthings(client_pool, upstream.url)
        hurried = DecthingsClient(client_pool, upstream.url, timeouts=Timeouts(response=0.2))
        for _ in range(2):
            tasks.start_soon(client.wait_for_model_to_be_created, "m", 60)
        assert (await client.get_datasets())["total"] == 0
        upstream.requests.clear()
        upstream.requests += [Request("", {}, b"")] * 2
        for _ in range(2):
            tasks.start_soon(client.create_model, PARAMS)
        await full.wait()
        with pytest.raises(TooManyCalls):
            await hurried.with_key(SecretStr("another-account")).get_datasets()
        tasks.cancel_scope.cancel()
