"""What the HTTP server lets in: through its middleware, with requests that are given to it in this process."""

import asyncio
import hashlib
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import anyio
import httpx
import pytest
from decthings_mcp.server.http import gate, named_secrets, rate_limit
from decthings_mcp.server.http.access import Access, Credentials
from decthings_mcp.server.http.gate import MAX_BODY_BYTES, MAX_SESSIONS_OF_CALLER, MAX_VALUES
from decthings_mcp.server.http.named_secrets import Tokens
from decthings_mcp.server.http.settings import HttpSettings
from decthings_mcp.server.settings import SettingsError
from decthings_mcp.tools.calls.services import CALLER, Caller
from http_support import TOKENS, bearer, token_file
from simulated_time import SimulatedLoop
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

pytestmark = pytest.mark.anyio

SINGLE, PER_CALLER = HttpSettings(), HttpSettings(tenancy="per-caller")
OWN_KEY = {"Decthings-Api-Key": "key-of-anna"}


class Endpoint:
    """In place of MCP: notes what comes in. `sessions` are those that each caller has."""

    def __init__(self, settings: HttpSettings = SINGLE, tokens: Tokens | None = None) -> None:
        self.callers: list[Caller] = []
        self.users: list[str] = []
        self.hosts: list[str] = []
        self.bodies: list[bytes] = []
        self.sessions = Counter[str]()
        self.mcp = gate.BodyMiddleware(self._mcp)
        access = Access(settings, Credentials(tokens))
        self.app = gate.AccessMiddleware(self.mcp, access, lambda caller: self.sessions[caller])

    async def _mcp(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        self.callers.append(scope[CALLER])
        self.users.append(scope["user"].username)
        self.hosts.append(request.headers["host"])
        self.bodies.append(await request.body())
        await PlainTextResponse("ok")(scope, receive, send)

    async def __call__(
        self, headers: Any = None, url: str = "http://Server.example./mcp", **more: Any
    ) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app)) as http:
            return await http.post(url, headers=headers, **more)


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(token_file(tmp_path))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """The seconds of the rate limit and of the token file."""
    now = Counter(seconds=1000)
    for module in (rate_limit, named_secrets):
        monkeypatch.setattr(module, "monotonic", lambda: now["seconds"])
    return now


def problem_of(response: httpx.Response) -> tuple[int, int]:
    """The status, in HTTP and in the JSON-RPC error, which always has a sentence."""
    error = response.json()["error"]
    assert error["message"][0].isupper()
    assert error["message"].endswith((".", "TOKEN."))
    assert (response.json()["jsonrpc"], response.json()["id"]) == ("2.0", None)
    return response.status_code, error["code"]


@pytest.mark.parametrize("authorization", [
    None, "", "Bearer", "Bearer ", "Bearer wrong-token-0123456789", TOKENS["anna"], f"Basic {TOKENS['anna']}",
    f"Token {TOKENS['anna']}", f"Bearer x {TOKENS['anna']}", f"x Bearer {TOKENS['anna']}", f"Bearer {TOKENS['anna']}x",
])  # fmt: skip
async def test_only_a_bearer_token_of_the_file_lets_a_caller_in(authorization: str | None, tokens: Tokens) -> None:
    endpoint = Endpoint(SINGLE, tokens)
    response = await endpoint({} if authorization is None else {"Authorization": authorization})
    assert problem_of(response) == (401, 401)
    assert response.headers["www-authenticate"] == 'Bearer realm="decthings-mcp"'
    assert "Authorization: Bearer TOKEN" in response.json()["error"]["message"]
    assert endpoint.callers == []


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER  "])
async def test_the_owner_of_a_token_is_the_caller(scheme: str, tokens: Tokens) -> None:
    endpoint = Endpoint(SINGLE, tokens)
    assert (await endpoint({"Authorization": scheme + TOKENS["bert"]})).text == "ok"
    assert (endpoint.callers, endpoint.users) == ([Caller("bert")], ["bert"])


async def test_without_tokens_and_keys_everybody_is_one_caller() -> None:
    endpoint = Endpoint()
    await endpoint(bearer("anna"))
    assert endpoint.callers == [Caller("anyone")]


async def test_a_key_of_its_own_is_refused_where_the_server_has_one() -> None:
    response = await Endpoint()(OWN_KEY)
    assert problem_of(response) == (400, 400)
    assert "remove Decthings-Api-Key" in response.json()["error"]["message"]


@pytest.mark.parametrize("key", [None, "", "  ", "two words", "ümlaut".encode("latin-1")])
async def test_a_caller_with_a_key_of_its_own_must_send_one(key: Any) -> None:
    endpoint = Endpoint(PER_CALLER)
    assert problem_of(await endpoint({} if key is None else {"Decthings-Api-Key": key})) == (401, 401)
    assert endpoint.callers == []


async def test_callers_with_keys_are_told_apart_without_their_keys(tokens: Tokens) -> None:
    digest = hashlib.sha256(b"decthings-mcp caller\0key-of-anna").hexdigest()[:12]
    for endpoint, headers, name in [
        (Endpoint(PER_CALLER), OWN_KEY, digest),
        (Endpoint(PER_CALLER, tokens), {**OWN_KEY, **bearer("anna")}, f"anna/{digest}"),
    ]:
        await endpoint(headers)
        (caller,) = endpoint.callers
        assert (caller.name, endpoint.users) == (name, [name])
        assert caller.api_key is not None
        assert caller.api_key.get_secret_value() == "key-of-anna"
    assert problem_of(await Endpoint(PER_CALLER, tokens)(OWN_KEY)) == (401, 401)


async def test_a_secret_in_the_url_is_refused() -> None:
    response = await Endpoint()(url="http://x/mcp?token=secret")
    assert problem_of(response) == (400, 400)
    assert "secret" not in response.text


@pytest.mark.parametrize("name", ["Authorization", "Decthings-Api-Key"])
async def test_a_secret_that_is_sent_twice_is_refused(name: str, tokens: Tokens) -> None:
    for endpoint in (Endpoint(PER_CALLER), Endpoint(SINGLE, tokens)):
        twice = [(name, f"Bearer {TOKENS['anna']}"), (name, "Bearer x")]
        assert problem_of(await endpoint([*twice])) == (400, 400)


async def test_the_name_of_the_server_is_the_same_in_any_spelling() -> None:
    endpoint = Endpoint()
    await endpoint(url="http://SERVER.Example.:8000/mcp")
    assert endpoint.hosts == ["server.example:8000"]


async def test_each_caller_has_an_allowance_of_two_seconds(tokens: Tokens, clock: Counter[str]) -> None:
    endpoint = Endpoint(HttpSettings(calls_per_second=2), tokens)

    async def statuses(name: str, count: int) -> list[int]:
        return [(await endpoint(bearer(name))).status_code for _ in range(count)]

    assert await statuses("anna", 5) == [200] * 4 + [429]
    assert await statuses("bert", 1) == [200]
    clock["seconds"] += 1
    assert await statuses("anna", 3) == [200, 200, 429]
    clock["seconds"] += 100  # no more than that is saved up
    assert await statuses("anna", 5) == [200] * 4 + [429]
    assert len(endpoint.callers) == 4 + 1 + 2 + 4


@pytest.mark.parametrize(
    ("per_second", "at_once", "wait"), [(0.1, 1, "10"), (0.25, 1, "4"), (1, 2, "1"), (20, 40, "1")]
)
async def test_a_refusal_for_too_many_calls_names_the_seconds_to_wait(
    per_second: float, at_once: int, wait: str, clock: Counter[str]
) -> None:
    endpoint = Endpoint(HttpSettings(calls_per_second=per_second))
    for _ in range(at_once):
        assert (await endpoint()).status_code == 200
    for _ in range(2):  # being refused costs nothing
        response = await endpoint()
        assert problem_of(response) == (429, 429)
        assert response.headers["retry-after"] == wait
        assert f"Wait {wait} s" in response.json()["error"]["message"]
    clock["seconds"] += int(wait)
    assert (await endpoint()).status_code == 200


async def test_the_seconds_to_wait_are_those_that_are_left(clock: Counter[str]) -> None:
    endpoint = Endpoint(HttpSettings(calls_per_second=0.1))
    await endpoint()
    clock["seconds"] += 4
    assert (await endpoint()).headers["retry-after"] == "6"


async def test_callers_that_were_idle_for_long_take_no_memory(clock: Counter[str]) -> None:
    limiter = rate_limit.RateLimiter(1)

    def kept() -> set[str]:
        return set(vars(limiter)["_buckets"])

    limiter.take("anna")
    clock["seconds"] += 400
    limiter.take("bert")
    assert kept() == {"anna", "bert"}
    clock["seconds"] += 201
    limiter.take("carl")
    assert kept() == {"bert", "carl"}
    clock["seconds"] += 400
    limiter.take("carl")
    assert kept() == {"bert", "carl"}  # looked at only every ten minutes
    clock["seconds"] += 300
    limiter.take("dora")
    assert kept() == {"carl", "dora"}


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


async def calls_at_a_time(app: ASGIApp, count: int, headers: Mapping[str, str] = MappingProxyType({})) -> list[int]:
    """The statuses of calls that all begin before the first one goes on."""
    begun, statuses = anyio.Event(), list[int]()

    async def body() -> AsyncGenerator[bytes]:
        await begun.wait()
        yield b"x"

    async def call(http: httpx.AsyncClient) -> None:
        statuses.append((await http.post("http://x/mcp", headers=headers, content=body())).status_code)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as http, anyio.create_task_group() as calls:
        for _ in range(count):
            calls.start_soon(call, http)
        await anyio.wait_all_tasks_blocked()
        begun.set()
    return sorted(statuses)


async def test_requests_of_a_caller_that_have_not_arrived_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "MAX_BODIES_OF_CALLER", 3)
    endpoint = Endpoint()
    modern = {"Mcp-Protocol-Version": "2026-07-28"}
    for _ in range(2):
        assert await calls_at_a_time(endpoint.app, 5, modern) == [200] * 3 + [429] * 2
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
        assert await calls_at_a_time(endpoint.app, 5, headers) == statuses


async def test_a_server_without_sessions_does_not_count_them() -> None:
    endpoint = Endpoint()
    app = gate.AccessMiddleware(endpoint.mcp, Access(HttpSettings(calls_per_second=1000), Credentials()), None)
    assert await calls_at_a_time(app, MAX_SESSIONS_OF_CALLER + 1) == [200] * (MAX_SESSIONS_OF_CALLER + 1)


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


def run_raw(app: ASGIApp, receive: Receive, *, headers: Iterable[tuple[bytes, bytes]] = ()) -> list[Message]:
    """What the app sends to a request whose messages are those of `receive`, in simulated time."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/mcp", "query_string": b"", "headers": list(headers)}
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:

        async def run() -> None:
            await app(scope, receive, send)

        runner.run(run())
    return sent


def test_headers_have_a_limit_in_all() -> None:
    async def receive() -> Message:
        return {"type": "http.request"}

    for excess, status in [(0, 200), (1, 431)]:
        value = b"v" * ((16 << 10) - len(b"hostxx") + excess)
        start, body = run_raw(Endpoint().app, receive, headers=[(b"host", b"x"), (b"x", value)])
        assert start["status"] == status
    assert b"16 KiB" in body["body"]


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


@pytest.mark.parametrize(("seconds", "at_most"), [(0.5, 0.6), (30, 2.1)])
def test_a_shutdown_waits_a_moment_for_calls_to_log_their_outcome(seconds: float, at_most: float) -> None:
    shutdown = Shutdown(starts=False)
    shutdown.run(lambda: log_for(seconds))
    assert min(seconds, 2) <= shutdown.waited <= at_most


@pytest.mark.parametrize("line", [
    "anna", "anna token-of-anna-0123456789 more", "anna 123456789012345", "anna tökenöfanna0123456789",
])  # fmt: skip
def test_a_line_that_is_no_name_and_token_is_refused(line: str, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(f"bert {TOKENS['bert']}\n{line}\n")
    with pytest.raises(SettingsError, match=r"a name and a token on each line.* 16 characters"):
        Tokens(tmp_path / "tokens")


def test_a_token_of_sixteen_characters_is_long_enough(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("  anna\t1234567890123456  \n\n# bert 0000000000000000\n#carl 1111111111111111\n")
    tokens = Tokens(tmp_path / "tokens")
    assert [tokens.caller_of(token) for token in ("1234567890123456", "0" * 16, "1" * 16, "")] == [
        "anna", None, None, None,
    ]  # fmt: skip


def test_bytes_that_are_no_text_do_not_stop_the_other_callers(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_bytes(b"# \xe9\nanna " + TOKENS["anna"].encode() + b"\n")
    assert Tokens(tmp_path / "tokens").caller_of(TOKENS["anna"]) == "anna"


def test_a_token_file_must_exist_and_name_somebody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="cannot be read: FileNotFoundError"):
        Tokens(tmp_path / "none")
    (tmp_path / "tokens").write_text("\n# nobody\n")
    with pytest.raises(SettingsError, match="lists no callers"):
        Tokens(tmp_path / "tokens")
    monkeypatch.setenv("HOME", str(tmp_path))
    token_file(tmp_path)
    assert Tokens(Path("~/tokens")).caller_of(TOKENS["bert"]) == "bert"


def test_a_changed_token_file_is_read_within_a_second_and_logged(
    tmp_path: Path, clock: Counter[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    path = token_file(tmp_path)
    tokens = Tokens(path)
    clock["seconds"] += 5
    assert tokens.caller_of(TOKENS["anna"]) == "anna"
    assert caplog.messages == []
    path.write_text("carl token-of-carl-0123456789\n")
    assert tokens.caller_of("token-of-carl-0123456789") is None  # looked at in this second already
    clock["seconds"] += 1
    assert tokens.caller_of("token-of-carl-0123456789") == "carl"
    assert tokens.caller_of(TOKENS["anna"]) is None
    clock["seconds"] += 1
    assert tokens.caller_of("token-of-carl-0123456789") == "carl"
    path.unlink()
    clock["seconds"] += 1
    assert tokens.caller_of("token-of-carl-0123456789") == "carl"
    assert caplog.messages == [
        "The file of --token-file has changed; it lists 1 callers now",
        "The file of --token-file cannot be used (FileNotFoundError); its previous content stays valid",
    ]
