"""What is told when no usable answer comes from Decthings."""

from __future__ import annotations

import socket
from typing import Any

import pytest
import support
from support import Chat, Upstream

pytestmark = pytest.mark.anyio

ARGUMENTS: dict[str, Any] = {"name": "n", "description": "d", "options": {"type": "code", "language": "go"}}


@pytest.mark.parametrize(
    ("reply", "code", "outcome", "members"),
    [
        (b"", "no_response", "unknown", {}),
        (support.http(b"<html>", "200 OK", "text/html"), "invalid_response", "unknown", {"httpStatus": 200}),
        (support.http(b"", "502 Bad Gateway"), "invalid_response", "unknown", {"httpStatus": 502}),
        (support.http(b"", "404 Not Found"), "invalid_response", "not_created", {"httpStatus": 404}),
        (support.http(b"", "429 Too Many Requests", "text/plain", "Retry-After: 9"), "invalid_response",
         "not_created", {"httpStatus": 429, "retryAfterSeconds": 9.0}),
    ],
)  # fmt: skip
async def test_the_outcome_is_told(reply: bytes, code: str, outcome: str, members: dict[str, Any], chat: Chat) -> None:
    def answer(connection: socket.socket, _: support.Request) -> None:
        connection.sendall(reply)

    chat.upstream.reply = answer
    answered = await chat.create(ARGUMENTS)
    error = answered["error"]
    assert (error["code"], error["outcome"], error["retryable"]) == (code, outcome, True)
    assert {name: error[name] for name in members} == members
    assert ("same name" in answered["nextStep"]) == (outcome == "unknown")
    assert len(chat.upstream.requests) == 1


async def test_without_a_connection_nothing_was_created(tmp_path: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        closed = Upstream(url=f"http://127.0.0.1:{listening.getsockname()[1]}/v0")
    async with support.chat(closed, tmp_path) as chat:
        error = (await chat.create(ARGUMENTS))["error"]
    assert (error["code"], error["outcome"]) == ("connection_failed", "not_created")


async def test_a_key_that_is_echoed_back_is_not_told(chat: Chat) -> None:
    chat.upstream.reply = support.frame({"error": {"code": "unknown", "hint": f"Bearer {support.KEY}"}})
    result = await chat.client.call_tool("create_model", ARGUMENTS)
    assert support.KEY not in result.model_dump_json()
