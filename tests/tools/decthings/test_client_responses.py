"""The client against a loopback upstream that responds in every way, also those in which Decthings should not."""

import socket
import struct
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import anyio
import pytest
from decthings_mcp.tools.decthings import (
    ApiError,
    DecthingsClient,
    InvalidResponse,
    NoResponse,
    responses,
)
from decthings_mcp.tools.decthings.sending import SendProgress
from decthings_mcp.tools.decthings.types import CreateModelParams
from decthings_mcp.tools.decthings.wire import encode_response
from support import Request, Upstream, created, frame, http_response, stay_silent

pytestmark = pytest.mark.anyio

PARAMS: CreateModelParams = {"name": "n", "description": "", "options": {"type": "code", "language": "go"}}


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
