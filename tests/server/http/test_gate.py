"""What the HTTP server lets in: through its middleware, with requests that are given to it in this process."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any

import anyio
import httpx
import pytest
from decthings_mcp.server.http import gate
from decthings_mcp.server.http.access import Access, Credentials
from decthings_mcp.server.http.gate import MAX_BODY_BYTES, MAX_SESSIONS_OF_CALLER, MAX_VALUES
from decthings_mcp.server.http.settings import HttpSettings
from gate_support import SINGLE, Endpoint, problem_of, run_raw
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

pytestmark = pytest.mark.anyio


async def test_the_name_of_the_server_is_the_same_in_any_spelling() -> None:
    endpoint = Endpoint()
    await endpoint({"X-Name": "SERVER.Example."}, url="http://SERVER.Example.:8000/mcp")
    (headers,) = endpoint.headers
    assert (headers["host"], headers["x-name"]) == ("server.example:8000", "SERVER.Example.")


@pytest.mark.parametrize(
    "host", ["x:y@evil.example", "localhost:1@evil.example/a", "[::1]:5@evil", "x: \x07", "x y", ""]
)
async def test_a_host_is_only_a_name_and_a_port(host: str) -> None:
    """Links begin with it."""
    endpoint = Endpoint()
    assert problem_of(await endpoint({"Host": host})) == (421, 421)
    app = gate.HostMiddleware(PlainTextResponse("ok"), ["x:*", "localhost:*"])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as http:
        assert (await http.get("http://x/", headers={"Host": host})).status_code == 421


@pytest.mark.parametrize(("host", "origin", "status"), [
    ("Mcp.Example.com.", None, 200), ("mcp.example.com", "https://claude.ai", 200),
    ("mcp.example.com", "http://localhost:6274", 200), ("evil.example", None, 421),
    ("mcp.example.com", "null", 403),
])  # fmt: skip
async def test_a_public_document_is_for_any_web_page_that_knows_the_name_of_the_server(
    host: str, origin: str | None, status: int
) -> None:
    app = gate.HostMiddleware(PlainTextResponse("ok"), ["mcp.example.com"])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as http:
        response = await http.get("http://x/", headers={"Host": host, **({"Origin": origin} if origin else {})})
    assert response.status_code == status
    assert (response.text == "ok") == (status == 200)


@pytest.mark.parametrize(("headers", "status"), [
    ({}, 429), ({"Mcp-Protocol-Version": "2025-06-18"}, 429), ({"Mcp-Protocol-Version": "2026-07-28"}, 200),
    ({"Mcp-Session-Id": "s"}, 200),
])  # fmt: skip
async def test_a_caller_with_many_sessions_can_use_them_and_open_no_more(headers: Any, status: int) -> None:
    endpoint = Endpoint()
    endpoint.sessions["anyone"] = MAX_SESSIONS_OF_CALLER - 1
    assert (await endpoint(headers)).status_code == 200
    endpoint.sessions["anyone"] += 1
    response = await endpoint(headers)
    assert response.status_code == status
    if status == 429:
        assert problem_of(response) == (429, 429)
        assert response.headers["retry-after"] == "600"
        assert "sessions" in response.json()["error"]["message"]


async def calls_at_a_time(app: ASGIApp, calls: Sequence[Mapping[str, str]]) -> list[int]:
    """The statuses of calls with these headers, which all begin, in this order, before the first one goes on."""
    begun, statuses = anyio.Event(), list[int]()

    async def body() -> AsyncGenerator[bytes]:
        await begun.wait()
        yield b"x"

    async def call(http: httpx.AsyncClient, headers: Mapping[str, str]) -> None:
        statuses.append((await http.post("http://x/mcp", headers=headers, content=body())).status_code)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as http, anyio.create_task_group() as tasks:
        for headers in calls:
            tasks.start_soon(call, http, headers)
            await anyio.wait_all_tasks_blocked()
        begun.set()
    return sorted(statuses)


async def test_requests_of_a_caller_that_have_not_arrived_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "MAX_BODIES_OF_CALLER", 3)
    endpoint = Endpoint()
    modern = {"Mcp-Protocol-Version": "2026-07-28"}
    for _ in range(2):
        assert await calls_at_a_time(endpoint.app, [modern] * 5) == [200] * 3 + [429] * 2
    monkeypatch.setattr(gate, "MAX_BODIES_OF_CALLER", 0)
    response = await endpoint()
    assert problem_of(response) == (429, 429)
    assert (response.headers["retry-after"], response.headers["connection"]) == ("1", "close")
    assert "are being received" in response.json()["error"]["message"]


@pytest.mark.parametrize(("headers", "statuses"), [
    ({}, [200] * 2 + [429] * 3), ({"Mcp-Session-Id": "s"}, [200] * 5),
])  # fmt: skip
async def test_sessions_that_are_being_opened_count(headers: dict[str, str], statuses: list[int]) -> None:
    endpoint = Endpoint()
    endpoint.sessions["anyone"] = MAX_SESSIONS_OF_CALLER - 2
    for _ in range(2):
        assert await calls_at_a_time(endpoint.app, [headers] * 5) == statuses


async def test_requests_of_open_sessions_do_not_count_as_sessions_that_are_being_opened() -> None:
    endpoint = Endpoint()
    endpoint.sessions["anyone"] = MAX_SESSIONS_OF_CALLER - 1
    assert await calls_at_a_time(endpoint.app, [{"Mcp-Session-Id": "s"}, {}]) == [200, 200]


async def test_a_server_without_sessions_does_not_count_them() -> None:
    endpoint = Endpoint()
    app = gate.AccessMiddleware(endpoint.mcp, Access(HttpSettings(calls_per_second=1000), Credentials()), None)
    assert await calls_at_a_time(app, [{}] * (MAX_SESSIONS_OF_CALLER + 1)) == [200] * (MAX_SESSIONS_OF_CALLER + 1)


async def test_a_body_arrives_as_it_was_sent() -> None:
    endpoint = Endpoint()

    async def parts() -> Any:
        for part in (b"one ", b"", b"two ", b"three"):
            yield part

    await endpoint(content=parts())
    await endpoint(content=b"at once")
    await endpoint()
    assert endpoint.bodies == [b"one two three", b"at once", b""]


async def test_a_body_has_a_limit_of_bytes() -> None:
    endpoint = Endpoint()
    assert (await endpoint(content=bytes(MAX_BODY_BYTES))).status_code == 200

    async def unannounced() -> Any:
        for _ in range(5):
            yield bytes(MAX_BODY_BYTES // 4)

    for content in (bytes(MAX_BODY_BYTES + 1), unannounced()):
        response = await endpoint(content=content)
        assert problem_of(response) == (413, 413)
        assert response.headers["connection"] == "close"
        assert "4 MiB" in response.json()["error"]["message"]
    assert len(endpoint.bodies) == 1


@pytest.mark.parametrize("value", [b",", b"[", b"{"])
async def test_a_body_has_a_limit_of_values(value: bytes) -> None:
    endpoint = Endpoint()
    assert (await endpoint(content=value * MAX_VALUES + b"]")).status_code == 200
    response = await endpoint(content=value * (MAX_VALUES + 1))
    assert problem_of(response) == (413, 413)
    assert "100,000 values" in response.json()["error"]["message"]
    assert (await endpoint(content=b"x" * (2 * MAX_VALUES))).status_code == 200
    assert len(endpoint.bodies) == 2


def test_a_body_that_is_announced_as_too_large_is_not_read() -> None:
    async def read() -> Message:
        raise AssertionError

    start, _ = run_raw(Endpoint().app, read, headers=[(b"content-length", b"%d" % (MAX_BODY_BYTES + 1))])
    assert (start["status"], (b"connection", b"close") in start["headers"]) == (413, True)


def test_a_body_that_trickles_is_refused_in_time() -> None:
    endpoint = Endpoint()

    async def trickle() -> Message:
        await asyncio.sleep(gate.BODY_SECONDS / 3)
        return {"type": "http.request", "body": b"x", "more_body": True}

    start, body = run_raw(endpoint.app, trickle)
    assert start["status"] == 408
    assert b"not received in time" in body["body"]
    assert endpoint.bodies == []


def test_a_body_that_just_arrives_in_time_is_taken() -> None:
    endpoint = Endpoint()

    async def trickle() -> Message:
        await asyncio.sleep(gate.BODY_SECONDS - 0.1)
        return {"type": "http.request", "body": b"x"}

    run_raw(endpoint.app, trickle, headers=[(b"host", b"x")])
    assert endpoint.bodies == [b"x"]


def test_a_client_that_leaves_is_no_request() -> None:
    passed: list[Message] = []

    async def mcp(scope: Scope, receive: Receive, send: Send) -> None:
        passed.extend([await receive(), await receive()])

    messages: list[Message] = [{"type": "http.request", "body": b"x", "more_body": True}]

    async def leave() -> Message:
        return messages.pop() if messages else {"type": "http.disconnect"}

    app = gate.AccessMiddleware(gate.BodyMiddleware(mcp), Access(SINGLE, Credentials()), lambda _: 0)
    assert run_raw(app, leave) == []
    assert [message["type"] for message in passed] == ["http.disconnect", "http.disconnect"]


class Shutdown:
    """A call that takes so many seconds, on a server that is shut down after one."""

    def __init__(self, *, starts: bool) -> None:
        self.starts = starts
        self.waited = 0.0

    def run(self, on_cancel: Callable[[], Any]) -> list[Message]:
        async def mcp(scope: Scope, receive: Receive, send: Send) -> None:
            if self.starts:
                await send({"type": "http.response.start", "status": 200, "headers": []})
            try:
                await anyio.sleep(60)
            finally:
                await on_cancel()

        access = gate.AccessMiddleware(mcp, Access(SINGLE, Credentials()), lambda _: 0)

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            async with anyio.create_task_group() as calls:
                calls.start_soon(access, scope, receive, send)
                await anyio.sleep(1)
                calls.cancel_scope.cancel()
                started = anyio.current_time()
                with anyio.CancelScope(shield=True):
                    await access.wait_until_empty()
                    self.waited = anyio.current_time() - started

        async def receive() -> Message:
            return {"type": "http.request"}

        return run_raw(serve, receive)


async def nothing() -> None:
    pass


async def log_for(seconds: float) -> None:
    with anyio.CancelScope(shield=True):
        await anyio.sleep(seconds)


def test_a_call_that_a_shutdown_ends_is_told_so() -> None:
    start, body = Shutdown(starts=False).run(nothing)
    assert start["status"] == 503
    assert b"shutting down" in body["body"]
    assert b"find_models" in body["body"]


def test_a_response_that_has_begun_is_not_begun_again_on_shutdown() -> None:
    (start,) = Shutdown(starts=True).run(nothing)
    assert start["status"] == 200


def test_a_shutdown_waits_for_all_calls() -> None:
    async def mcp(scope: Scope, receive: Receive, send: Send) -> None:
        await anyio.sleep(0.5)

    access = gate.AccessMiddleware(mcp, Access(SINGLE, Credentials()), lambda _: 0)
    ended: list[float] = []

    async def two_calls(scope: Scope, receive: Receive, send: Send) -> None:
        async with anyio.create_task_group() as calls:
            calls.start_soon(access, dict(scope), receive, send)
            calls.start_soon(access, dict(scope), receive, send)
            await anyio.sleep(0.1)
            calls.start_soon(access, dict(scope), receive, send)  # ends later than the others
            await anyio.sleep(0.1)
            started = anyio.current_time()
            await access.wait_until_empty()
            ended.append(anyio.current_time() - started)

    async def receive() -> Message:
        return {"type": "http.request"}

    run_raw(two_calls, receive)
    assert ended == [pytest.approx(0.4, abs=0.05)]


@pytest.mark.parametrize(("seconds", "at_most"), [(0.5, 0.6), (30, 2.1)])
def test_a_shutdown_waits_a_moment_for_calls_to_log_their_outcome(seconds: float, at_most: float) -> None:
    shutdown = Shutdown(starts=False)
    shutdown.run(lambda: log_for(seconds))
    assert min(seconds, 2) <= shutdown.waited <= at_most
