"""The errors when no usable response comes from Decthings."""

import socket
from pathlib import Path
from typing import Any

import pytest
import support
from decthings_mcp.server.settings import Secret
from decthings_mcp.tools.decthings import Timeouts, responses
from support import CREATE, Chat, Upstream

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("reply", "code", "outcome", "members"), [
    (b"", "no_response", "unknown", {}),
    (support.http_response(b"<html>", "200 OK", "text/html"), "invalid_response", "unknown", {"httpStatus": 200}),
    (support.http_response(b"", "502 Bad Gateway"), "invalid_response", "unknown", {"httpStatus": 502}),
    (support.http_response(b"", "404 Not Found"), "invalid_response", "not_created", {"httpStatus": 404}),
    (support.http_response(b"", "429 Too Many Requests", "text/plain", "Retry-After: 9"), "too_many_requests",
     "not_created", {"httpStatus": 429, "retryAfterSeconds": 9}),
])  # fmt: skip
async def test_an_unusable_response_has_code_and_outcome(
    reply: bytes, code: str, outcome: str, members: dict[str, Any], chat: Chat, upstream: Upstream
) -> None:
    upstream.reply = reply
    answered = await chat.create(CREATE)
    error = answered["error"]
    retryable = error["httpStatus"] != 404 if members else True
    assert (error["code"], error["outcome"], error["retryable"]) == (code, outcome, retryable)
    assert {name: error[name] for name in members} == members
    assert ("same name" in answered["nextStep"]) == (outcome == "unknown")
    created = [request for request in upstream.requests if request.path.endswith("createModel")]
    assert len(created) == (3 if outcome == "unknown" else 1)  # repeated twice while it is open


async def test_a_failed_connection_created_nothing(tmp_path: Any) -> None:
    async with support.connect_chat(support.unreachable(), tmp_path, retry_seconds=0) as chat:
        error = (await chat.create(CREATE))["error"]
    assert (error["code"], error["outcome"]) == ("connection_failed", "not_created")


@pytest.mark.parametrize(
    ("status", "expected", "retryable"),
    [("401 Unauthorized", "API key", False), ("404 Not Found", "API URL", False),
     ("413 Content Too Large", "large", False),
     ("409 Conflict", "status", False), ("429 Too Many Requests", "Wait", True)],
)  # fmt: skip
async def test_an_http_status_has_its_next_step(
    status: str, expected: str, retryable: bool, chat: Chat, upstream: Upstream
) -> None:
    upstream.reply = support.http_response(b"", status)
    answer = await chat.create(CREATE)
    assert expected in answer["nextStep"]
    assert (answer["error"]["outcome"], answer["error"]["retryable"]) == ("not_created", retryable)


@pytest.mark.parametrize(("status", "header", "seconds"), [
    ("429 Too Many Requests", "Retry-After: 40", 40), ("429 Too Many Requests", "X-Nothing: 1", 60),
    ("503 Service Unavailable", "Retry-After: 40", 40), ("503 Service Unavailable", "X-Nothing: 1", 60),
])  # fmt: skip
async def test_a_wait_is_named_once_in_whole_seconds(
    status: str, header: str, seconds: int, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.reply = support.http_response(b"", status, "text/plain", header)
    async with support.connect_chat(upstream, tmp_path, retry_seconds=0) as chat:
        answer = await chat("find_models")
    error = answer["error"]
    assert error["code"] == ("too_many_requests" if status.startswith("429") else "invalid_response")
    assert (error["retryAfterSeconds"], type(error["retryAfterSeconds"])) == (seconds, int)
    assert answer["nextStep"] == f"Wait {seconds} seconds, then make the same call again."
    assert "minute" not in answer["text"]


async def test_a_slow_response_is_given_up(chat: Chat, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responses, "MAX_SECONDS", 0.05)

    def drip(connection: socket.socket, _: support.Request) -> None:
        connection.sendall(support.created()[:-1])
        connection.recv(1)

    upstream.reply = drip
    error = (await chat.create(CREATE))["error"]
    assert (error["code"], error["outcome"]) == ("no_response", "unknown")


UPLOAD = {**CREATE, "options": {"type": "upload", "format": "tflite", "data": {"path": "m.tflite"}}}


async def test_an_upload_to_a_peer_that_stops_reading_times_out(tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(b"\x1c\0\0\0TFL3" + bytes(30 << 20))
    with support.upstream(support.stay_silent, stop_at=100_000) as dead:
        async with support.connect_chat(dead, tmp_path, timeouts=Timeouts(send=0.3), call_seconds=4) as chat:
            error = (await chat.create(UPLOAD))["error"]
    assert (error["code"], error["outcome"]) == ("request_cut_short", "not_created")


async def test_a_result_with_a_failing_status_leaves_the_outcome_open(chat: Chat, upstream: Upstream) -> None:
    upstream.reply = support.created().replace(b"200 OK", b"400 Bad Request")
    assert (await chat.create(CREATE))["error"]["outcome"] == "unknown"


async def test_error_fields_that_have_our_names_are_kept_apart(chat: Chat, upstream: Upstream) -> None:
    upstream.reply = support.frame({"error": {"code": "unknown", "message": "hey", "outcome": "created"}})
    error = (await chat.create(CREATE))["error"]
    assert error["fromDecthings"] == {"message": "hey", "outcome": "created"}
    assert error["outcome"] == "not_created"


async def test_a_key_that_is_a_word_does_not_spoil_results(upstream: Upstream, tmp_path: Any) -> None:
    upstream.reply = support.created("sandbox-1")
    async with support.connect_chat(upstream, tmp_path, api_key=Secret("model")) as chat:
        assert (await chat.create(CREATE))["result"]["modelId"] == "sandbox-1"


async def test_a_deeply_nested_error_is_reported(chat: Chat, upstream: Upstream) -> None:
    document = b'{"error":{"code":"unknown","x":' + b"[" * 990 + b"]" * 990 + b"}}"
    upstream.reply = support.http_response(b"\xfd" + len(document).to_bytes(2) + document)
    assert (await chat.create(CREATE))["error"]["code"] in ("invalid_response", "unknown")


async def test_a_key_that_is_echoed_back_is_not_returned(chat: Chat, upstream: Upstream) -> None:
    upstream.reply = support.frame({"error": {"code": "unknown", "hint": f"Bearer {support.KEY}"}})
    result = await chat.client.call_tool("create_model", CREATE)
    assert support.KEY not in result.model_dump_json()
