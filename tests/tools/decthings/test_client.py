"""The client against a loopback upstream that responds in every way Decthings should not."""

import asyncio
import gc
import socket
import struct
import threading
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
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
    InvalidResponse,
    NoResponse,
    RequestInterrupted,
    Tensor,
    Timeouts,
    TooManyCalls,
    responses,
)
from decthings_mcp.tools.decthings import client_pool as decthings_connections
from decthings_mcp.tools.decthings import sending as sending_module
from decthings_mcp.tools.decthings.client import CURRENT_API_KEY
from decthings_mcp.tools.decthings.sending import RequestBody, SendProgress, transport_error
from decthings_mcp.tools.decthings.types import CreateModelParams, ListParams
from decthings_mcp.tools.decthings.wire import decode_response, encode_response
from pydantic import SecretStr
from support import Request, Upstream, created, decthings, frame, http_response, stay_silent

pytestmark = pytest.mark.anyio

PARAMS: CreateModelParams = {"name": "n", "description": "", "options": {"type": "code", "language": "go"}}


@pytest.fixture
def client(client_pool: ClientPool, upstream: Upstream) -> DecthingsClient:
    return decthings(client_pool, upstream.url)


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


async def test_an_error_keeps_its_code_and_members(client: DecthingsClient, upstream: Upstream) -> None:
    upstream.reply = frame({"error": {"code": "never_heard_of", "datasetId": "d"}})
    with pytest.raises(ApiError) as caught:
        await client.create_model(PARAMS)
    assert (caught.value.code, caught.value.details) == ("never_heard_of", {"datasetId": "d"})
    assert not caught.value.may_have_acted


async def test_an_error_frame_counts_whatever_its_status(client: DecthingsClient, upstream: Upstream) -> None:
    upstream.reply = http_response(encode_response({"error": {"code": "unknown"}}), "500 Internal Server Error")
    with pytest.raises(ApiError, match="'unknown'"):
        await client.create_model(PARAMS)


@pytest.mark.parametrize("content_type", ["Application/Octet-Stream", "application/octet-stream; charset=binary"])
async def test_the_content_type_may_vary(content_type: str, client: DecthingsClient, upstream: Upstream) -> None:
    upstream.reply = http_response(
        encode_response({"result": {"modelId": "m", "isNowCreating": False}}), "200 OK", content_type
    )
    assert (await client.create_model(PARAMS))["modelId"] == "m"


def json_part(text: bytes) -> bytes:
    return bytes([len(text)]) + text


BROKEN = {
    "Content-Type": http_response(b"<html>", "200 OK", "text/html"),
    "Content-Type is": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    "compressed": http_response(b"", "200 OK", "application/octet-stream", "Content-Encoding: gzip"),
    "expected": http_response(b""),
    "JSON part is 250 bytes, but only 1": http_response(b"\xfa{"),
    "length of blob 0": http_response(json_part(b'{"result":{}}') + b"\xfe\xff\xff\xff\xff"),
    "within a length": http_response(json_part(b'{"result":{}}') + b"\xfd"),
    "is not JSON": http_response(json_part(b'{"result":')),
    "JSON part is not JSON": http_response(json_part(b'{"result":NaN}')),
    "part is not JSON": http_response(json_part(b'{"result":"\xff"}')),
    "not a JSON object": http_response(json_part(b"[]")),
    "both a result and an error": http_response(json_part(b'{"result":{"modelId":"m"},"error":{"code":"unknown"}}')),
    "neither a result nor an error": http_response(json_part(b'{"result":null}')),
    "has neither": http_response(json_part(b"{}")),
    "result is not an object": http_response(json_part(b'{"result":"m"}')),
    "error has no code": http_response(json_part(b'{"error":{"code":7}}')),
    "error has no": http_response(json_part(b'{"error":"unknown"}')),
    "response has no modelId": http_response(json_part(b'{"result":{}}')),
    "no modelId": http_response(json_part(b'{"result":{"modelId":7}}')),
    "modelId": http_response(json_part(b'{"result":{"modelId":""}}')),
    "Content-Length is 99999999 bytes": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\nConnection: close\r\n\r\n",
}


@pytest.mark.parametrize(("expected", "reply"), BROKEN.items(), ids=BROKEN)
async def test_an_invalid_response_leaves_the_outcome_open(
    expected: str, reply: bytes, client: DecthingsClient, upstream: Upstream
) -> None:
    upstream.reply = reply
    with pytest.raises(InvalidResponse, match=expected) as caught:
        await client.create_model(PARAMS)
    assert (caught.value.may_have_acted, caught.value.status) == (True, 200)


def drip(connection: socket.socket, _: Request) -> None:
    """The head of a response, and then its body, byte by byte, without an end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n")
    while not threading.Event().wait(0.01):
        connection.sendall(b" ")


async def test_a_response_that_drips_is_given_up(
    client: DecthingsClient, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(responses, "MAX_SECONDS", 0.1)
    upstream.reply = drip
    with anyio.fail_after(15), pytest.raises(NoResponse, match="TimeoutError"):
        await client.create_model(PARAMS)


async def test_a_response_with_outputs_may_take_longer_and_be_larger(
    client: DecthingsClient, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = frame({"result": {"x": "y" * 100}})
    monkeypatch.setattr(responses, "MAX_SECONDS", 0.01)
    monkeypatch.setattr(responses, "MAX_BYTES", 100)

    def respond_slowly(connection: socket.socket, _: Request) -> bytes:
        connection.sendall(outputs[:-1])
        threading.Event().wait(0.2)
        return outputs[-1:]

    upstream.reply = respond_slowly
    assert await client.call_with_outputs("Model/evaluate", {}) == ({"x": "y" * 100}, [])
    with pytest.raises(InvalidResponse, match="the limit is 100"):
        await client.call("Model/getModels", {})
    upstream.reply = outputs
    monkeypatch.setattr(responses, "MAX_BYTES", len(outputs.partition(b"\r\n\r\n")[2]))
    monkeypatch.setattr(responses, "MAX_SECONDS", 30)
    assert await client.call("Model/getModels", {}) == {"x": "y" * 100}


async def test_an_endless_response_is_not_read_completely(client: DecthingsClient, upstream: Upstream) -> None:
    def endless(connection: socket.socket, _: Request) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n")
        while True:
            connection.sendall(bytes(1 << 20))

    upstream.reply = endless
    with pytest.raises(InvalidResponse, match=str(responses.MAX_BYTES)):
        await client.create_model(PARAMS)


async def test_deeply_nested_json_is_an_invalid_response(client: DecthingsClient, upstream: Upstream) -> None:
    document = b'{"result":' + b"[" * 60000 + b"]" * 60000 + b"}"
    upstream.reply = http_response(b"\xfe" + len(document).to_bytes(4) + document)
    with pytest.raises(InvalidResponse, match="not JSON"):
        await client.create_model(PARAMS)


@pytest.mark.parametrize(
    ("status", "may_exist"),
    [("307 Temporary Redirect", False), ("404 Not Found", False), ("413 Content Too Large", False),
     ("429 Too Many Requests", False), ("500 Internal Server Error", True), ("502 Bad Gateway", True),
     ("503 Service Unavailable", True), ("408 Request Timeout", True),
     ("504 Gateway Timeout", True), ("599 Whatever", True)],
)  # fmt: skip
async def test_an_http_status_is_reported_and_no_redirect_followed(
    status: str, may_exist: bool, client: DecthingsClient, upstream: Upstream
) -> None:
    upstream.reply = http_response(b"secret page", status, "text/html", "Location: /v1", "Retry-After: 7")
    with pytest.raises(InvalidResponse, match=status[:3]) as caught:
        await client.create_model(PARAMS)
    assert (caught.value.may_have_acted, caught.value.status) == (may_exist, int(status[:3]))
    assert caught.value.retry_after == 7
    assert "secret" not in str(caught.value)
    assert len(upstream.requests) == 1


def hang_up(connection: socket.socket, _: Request) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def stop_half_way(connection: socket.socket, _: Request) -> None:
    connection.sendall(created()[:-3])


@pytest.mark.parametrize("reply", [b"Connection: close", hang_up, stop_half_way], ids=["garbage", "reset", "cut off"])
async def test_a_connection_lost_after_the_request_leaves_the_outcome_open(
    reply: Any, client: DecthingsClient, upstream: Upstream
) -> None:
    upstream.reply = reply
    with pytest.raises(NoResponse) as caught:
        await client.create_model(PARAMS)
    assert caught.value.may_have_acted


async def test_a_silent_upstream_times_out_with_the_outcome_open(client: DecthingsClient, upstream: Upstream) -> None:
    upstream.reply = stay_silent
    with pytest.raises(NoResponse, match="ReadTimeout"):
        await client.call("Model/getModels", {}, timeout=0.05)


WAITS: dict[str, Callable[[DecthingsClient], Awaitable[Any]]] = {
    "waitForModelToBeCreated": lambda client: client.wait_for_model_to_be_created("m", timeout=0.05),
    "evaluate": lambda client: client.evaluate({"modelId": "m", "params": []}, timeout=0.05),
    "getFinishedEvaluationResult": lambda client: client.get_finished_evaluation_result("m", "e", timeout=0.05),
}


@pytest.mark.parametrize("wait", [*WAITS.values()], ids=[*WAITS])
async def test_a_wait_ends_after_its_own_time(
    wait: Callable[[DecthingsClient], Awaitable[Any]], client: DecthingsClient, upstream: Upstream
) -> None:
    upstream.reply = stay_silent
    with anyio.fail_after(15), pytest.raises(NoResponse):
        await wait(client)


async def test_what_only_reads_has_never_acted(client: DecthingsClient, upstream: Upstream) -> None:
    upstream.reply = frame({"result": {}})
    with pytest.raises(InvalidResponse) as caught:
        await client.get_finished_evaluation_result("m", "e", timeout=5)
    assert caught.value.may_have_acted is False


async def test_a_cancellation_that_was_sent_may_have_acted(client: DecthingsClient, upstream: Upstream) -> None:
    upstream.reply, sending = b"", SendProgress()
    with pytest.raises(NoResponse):
        await client.cancel_evaluation("m", "e", sending)
    assert sending.may_have_acted


async def test_a_response_that_is_nested_too_deeply_leaves_the_outcome_open(
    client: DecthingsClient, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RecursionError

    monkeypatch.setattr("decthings_mcp.tools.decthings.client.redact", fail)
    upstream.reply = created()
    with pytest.raises(InvalidResponse, match="nested too deeply") as caught:
        await client.create_model(PARAMS)
    assert caught.value.may_have_acted


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


@pytest.mark.parametrize(("header", "least", "most"), [
    ("0", 0, 0), ("17", 17, 17), ("999999", 999999, 999999), ("Mon, 01 Jan 2001 00:00:00 GMT", 0, 0),
    ("Fri, 01 Jan 2100 00:00:00 GMT", 10**9, 10**10), ("Fri, 01 Jan 2100 00:00:00 -0000", 10**9, 10**10),
])  # fmt: skip
async def test_retry_after_is_seconds_or_a_date(
    header: str, least: float, most: float, client: DecthingsClient, upstream: Upstream
) -> None:
    upstream.reply = http_response(b"", "503 Unavailable", "text/html", f"Retry-After: {header}")
    with pytest.raises(InvalidResponse) as caught:
        await client.create_model(PARAMS)
    assert caught.value.retry_after is not None
    assert least <= caught.value.retry_after <= most
    assert round(caught.value.retry_after, 1) == caught.value.retry_after


@pytest.mark.parametrize(("text", "hour"), [("GMT", 12), ("+0200", 10), ("-0000", 12), ("", 12)])
def test_a_date_may_have_any_zone(text: str, hour: int) -> None:
    date = responses.parse_http_date(f"Fri, 27 Nov 2026 12:00:00 {text}")
    assert date == datetime(2026, 11, 27, hour, tzinfo=UTC)


@pytest.mark.parametrize("header", ["", "1000000", "-1", "1.5", "soon", "\u0661", "Mon, 99 Jan 2001"])
async def test_a_retry_after_that_says_nothing_is_ignored(
    header: str, client: DecthingsClient, upstream: Upstream
) -> None:
    response = http_response(b"", "503 Unavailable", "text/html", "Retry-After: @").replace(b"@", header.encode())
    upstream.reply = response
    with pytest.raises(InvalidResponse) as caught:
        await client.create_model(PARAMS)
    assert caught.value.retry_after is None


@pytest.mark.parametrize("result", [{}, {"models": [1], "total": 1}, {"models": [], "total": "1"}])
async def test_a_malformed_list_is_refused(result: Any, client: DecthingsClient, upstream: Upstream) -> None:
    upstream.reply = frame({"result": result})
    with pytest.raises(InvalidResponse, match="no list of models") as caught:
        await client.get_models()
    assert not caught.value.may_have_acted


async def test_results_without_their_fields_are_invalid_responses(client: DecthingsClient, upstream: Upstream) -> None:
    for snapshot_id in ("", 7):
        upstream.reply = frame({"result": {"snapshotId": snapshot_id}})
        with pytest.raises(InvalidResponse, match="snapshotId") as caught:
            await client.snapshot_model("m", "v1")
        assert caught.value.may_have_acted is True
    for result in ({}, {"createModelSuccess": {}, "createModelFailed": {}}):
        upstream.reply = frame({"result": result})
        with pytest.raises(InvalidResponse, match="how the creation ended") as caught:
            await client.wait_for_model_to_be_created("m")
        assert caught.value.may_have_acted is False


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
