"""Who may call over HTTP, with which key, and how often: and nothing of one caller in anything of another."""

import base64
import json
import signal
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import support
from http_support import (
    ACCEPT,
    TOKENS,
    HttpServer,
    bearer,
    call,
    echoing_upstream,
    http_server,
    keyed_server,
    post,
    sandbox_server,
    token_file,
)
from support import CREATE

PER_CALLER = ("--tenancy", "per-caller")
EVERYWHERE = ("--host", "0.0.0.0")  # noqa: S104 - to be refused


def own_key(key: str) -> dict[str, str]:
    return {"Decthings-Api-Key": key}


@pytest.fixture(scope="module")
def with_tokens(tmp_path_factory: pytest.TempPathFactory) -> Generator[HttpServer]:
    cwd = tmp_path_factory.mktemp("tokens")
    with sandbox_server("--token-file", str(token_file(cwd)), "--calls-per-second", "1000", cwd=cwd) as server:
        yield server


@pytest.mark.slow
@pytest.mark.parametrize(("arguments", "expected"), [
    (EVERYWHERE, "--token-file"),
    (("--trusted-proxy", "127.0.0.1"), "--token-file"),
    (("--allowed-host", "mcp.example.com"), "--token-file"),
    (("--allowed-host", "localhost", "--allowed-host", "192.0.2.1:8000"), "--token-file"),
    ((*EVERYWHERE, "--token-file", "{tokens}"), "--allowed-host"),
    (("--tenancy", "per-caller"), "remove the server's own"),
    (("--token-file", "none"), "cannot be read"),
    (("--token-file", "{short}"), "16 characters"),
    (("--keys", "{tokens}"), "needs --tenancy per-caller"),
    (("--keys", "{tokens}", "--token-file", "{tokens}"), "needs --tenancy per-caller"),
    (("--token-file", "{empty}"), "lists no callers"),
    (("--allowed-host", "https://mcp.example.com"), "without https://"),
    (("--allowed-host", "mcp.example.com/mcp"), "--allowed-host must be a name"),
    (("--allowed-host", "*.example.com"), "--allowed-host must be a name"),
    (("--allowed-host", "bücher.example"), "Punycode"),
    (("--allowed-host", "::1"), "brackets"),
    (("--allowed-host", "localhost:65536"), "--allowed-host must be a name"),
    (("--allowed-host", ""), "--allowed-host must be a name"),
    (("--path", "/healthz"), "--path must be"),
    (("--path", "/mcp?x"), "--path must be"),
    (("--path", "/m c"), "--path must be"),
    (("--path", "/{{x}}"), "--path must be"),
    (("--path", "/a/../b"), "--path must be"),
    (("--path", "a//b"), "--path must be"),
    (("--port", "65536"), "0 to 65535"),
    (("--port", "-1"), "0 to 65535"),
    (("--metrics-port", "70000"), "0 to 65535"),
    (("--state-key-file", "{short}"), "32 characters"),
    (("--workers", "0"), "greater than 0"),
])  # fmt: skip
def test_unsafe_options_are_refused_at_the_start(arguments: tuple[str, ...], expected: str, tmp_path: Path) -> None:
    (tmp_path / "short").write_text("anna secret\n")
    (tmp_path / "empty").write_text("# nobody\n")
    files = {"tokens": token_file(tmp_path), "short": tmp_path / "short", "empty": tmp_path / "empty"}
    given = [argument.format(**files) for argument in arguments]
    ended = support.run_server("--http", "--port", "0", *given, cwd=tmp_path, DECTHINGS_API_KEY="the-servers-own-key")
    assert ended.returncode == 2
    assert expected in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not any(secret in ended.stderr for secret in (*TOKENS.values(), "the-servers-own-key"))


def test_a_caller_needs_a_token_that_the_server_knows(with_tokens: HttpServer) -> None:
    for authorization in ("Bearer wrong", TOKENS["anna"], "Basic eA==", None):
        headers = {} if authorization is None else {"Authorization": authorization}
        refused = post(with_tokens.url, "tools/list", headers)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"].startswith("Bearer")
        assert "token" in refused.json()["error"]["message"]
    assert post(with_tokens.url, "tools/list", bearer("anna")).status_code == 200


@pytest.mark.slow
def test_a_token_is_not_passed_on_and_a_key_is_not_taken_where_the_server_has_its_own(tmp_path: Path) -> None:
    tokens = ("--token-file", str(token_file(tmp_path)))
    with support.upstream(support.created()) as up, keyed_server(up, tmp_path, *tokens) as server:
        call(server.url, "create_model", CREATE, bearer("anna"))
        refused = post(server.url, "tools/list", {**bearer("anna"), **own_key("somebody's")})
    assert up.requests[0].headers["authorization"] == f"Bearer {support.KEY}"
    assert TOKENS["anna"] not in str(up.requests)
    assert refused.status_code == 400


def test_the_access_log_names_callers_and_no_tokens(with_tokens: HttpServer) -> None:
    post(with_tokens.url, "tools/list", bearer("bert"))
    assert with_tokens.logged("caller", "bert")["request"] == "POST /mcp"
    assert not any(token in "".join(with_tokens.lines) for token in TOKENS.values())


def open_session(url: str, headers: dict[str, str]) -> httpx.Response:
    return httpx.post(
        url,
        json={"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}},
        headers={**headers, **ACCEPT},
        verify=support.NO_CERTIFICATES,
    )  # fmt: skip


def test_one_caller_cannot_take_all_sessions(with_tokens: HttpServer) -> None:
    statuses = [open_session(with_tokens.url, bearer("bert")).status_code for _ in range(52)]
    assert statuses[:40] == [200] * 40
    assert statuses[-1] == 429
    assert open_session(with_tokens.url, bearer("anna")).status_code == 200


@pytest.mark.slow
def test_completions_use_the_callers_own_key(tmp_path: Path) -> None:
    model = {"id": "model-of-anna", "name": "n", "access": "readwrite"}
    page = support.frame({"result": {"models": [model], "total": 1, "offset": 0, "limit": 20}})
    with support.upstream(page) as up, http_server("--api-url", up.url, *PER_CALLER, cwd=tmp_path) as server:
        response = post(
            server.url, "completion/complete", own_key("key-of-anna"),
            ref={"type": "ref/resource", "uri": "decthings://models/{modelId}"},
            argument={"name": "modelId", "value": "model"},
        ).json()  # fmt: skip
    assert response["result"]["completion"]["values"] == ["model-of-anna"]
    assert {request.headers["authorization"] for request in up.requests} == {"Bearer key-of-anna"}


def test_a_session_is_nobody_elses(with_tokens: HttpServer) -> None:
    opened = open_session(with_tokens.url, bearer("anna"))
    listing = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
    for name, status in [("bert", 404), ("anna", 200)]:
        headers = {**bearer(name), **ACCEPT, "Mcp-Session-Id": opened.headers["mcp-session-id"]}
        assert httpx.post(with_tokens.url, json=listing, headers=headers).status_code == status


@pytest.mark.slow
def test_each_request_brings_its_own_key_where_the_server_has_none(tmp_path: Path) -> None:
    with (
        support.upstream(support.created()) as up,
        http_server("--api-url", up.url, *PER_CALLER, cwd=tmp_path) as server,
    ):
        assert post(server.url, "tools/list").status_code == 401
        assert post(server.url, "tools/list", own_key("two words")).status_code == 401
        call(server.url, "create_model", CREATE, {**own_key("key-of-anna"), "Authorization": "Bearer something-else"})
        call(server.url, "create_model", CREATE, own_key("key-of-bert"))
    assert [request.headers["authorization"] for request in up.requests] == ["Bearer key-of-anna", "Bearer key-of-bert"]
    assert "something-else" not in str(up.requests)


@pytest.mark.slow
def test_a_bearer_token_is_a_key_where_no_tokens_are_needed(tmp_path: Path) -> None:
    """Some clients take a header of another name for a reason to sign in."""
    with (
        support.upstream(support.created()) as up,
        http_server("--api-url", up.url, *PER_CALLER, cwd=tmp_path) as server,
    ):
        call(server.url, "create_model", CREATE, {"Authorization": "Bearer key-of-anna"})
        for authorization in ("Basic key-of-anna", "Bearer", "Bearer two words"):
            refused = post(server.url, "tools/list", {"Authorization": authorization})
            assert refused.status_code == 401
            assert refused.headers["www-authenticate"] == 'Bearer realm="decthings-mcp"'
    assert [request.headers["authorization"] for request in up.requests] == ["Bearer key-of-anna"]


@pytest.mark.slow
def test_tokens_and_keys_can_both_be_asked_for(tmp_path: Path) -> None:
    with http_server(*PER_CALLER, "--token-file", str(token_file(tmp_path)), cwd=tmp_path) as server:
        assert post(server.url, "tools/list", own_key("a-key")).status_code == 401
        assert post(server.url, "tools/list", bearer("anna")).status_code == 403
        assert post(server.url, "tools/list", {**bearer("anna"), **own_key("a-key")}).status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize("stateless", [False, True])
def test_callers_see_nothing_of_each_other(stateless: bool, tmp_path: Path) -> None:
    """A hundred at a time."""
    keys = {"anna": "canary-anna-51f0c2", "bert": "canary-bert-93d7aa"}

    def ask(number: int) -> tuple[str, str]:
        name = ("anna", "bert")[number % 2]
        given = {**CREATE, "name": f"{name}-{number}", "description": f"mark of {name}"}
        return name, json.dumps(call(server.url, "create_model", given, own_key(keys[name])))

    options = ["--log-level", "DEBUG", "--calls-per-second", "10000", *(["--stateless"] if stateless else [])]
    with (
        echoing_upstream() as up,
        http_server("--api-url", up.url, *PER_CALLER, *options, cwd=tmp_path) as server,
        ThreadPoolExecutor(100) as pool,
    ):
        answers = list(pool.map(ask, range(400)))
        assert server.end(signal.SIGTERM) == 0
    assert len(answers) == 400
    for name, answer in answers:
        other = "bert" if name == "anna" else "anna"
        assert f"mark of {name}" in answer
        assert f"mark of {other}" not in answer
        assert not any(key in answer for key in keys.values())
    for request in up.requests:
        params, _ = support.decode_request(request.body)
        assert request.headers["authorization"] == f"Bearer {keys[params['name'].partition('-')[0]]}"
        assert "cookie" not in request.headers
    assert up.connections < len(up.requests) / 2
    log = "".join(server.lines)
    assert len(log) > 100_000
    assert not any(key in log for key in keys.values())


@pytest.mark.slow
def test_calls_beyond_the_rate_are_refused_with_retry_after(tmp_path: Path) -> None:
    tokens = str(token_file(tmp_path))
    with sandbox_server("--token-file", tokens, "--calls-per-second", "1", cwd=tmp_path) as server:
        answers = [post(server.url, "tools/list", bearer("anna")) for _ in range(4)]
        assert post(server.url, "tools/list", bearer("bert")).status_code == 200  # each has an allowance
    assert [answer.status_code for answer in answers[:2]] == [200, 200]
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert "nothing was done" in answers[-1].json()["error"]["message"]


@pytest.mark.slow
def test_uploads_beyond_those_allowed_at_a_time_are_refused(tmp_path: Path) -> None:
    held, first = support.HeldReply(support.created()), list[Any]()
    data = base64.b64encode(b"\x1c\0\0\0TFL3" + bytes(100)).decode()
    upload = {**CREATE, "options": {"type": "upload", "format": "tflite", "data": {"base64": data}}}
    with support.upstream(held) as up, keyed_server(up, tmp_path, "--uploads-at-a-time", "1") as server:
        calling = threading.Thread(target=lambda: first.append(call(server.url, "create_model", upload)))
        calling.start()
        assert held.started.wait(30)
        second = call(server.url, "create_model", upload)["result"]["structuredContent"]
        held.released.set()
        calling.join(30)
        third = call(server.url, "create_model", upload)["result"]["structuredContent"]
    assert (second["error"]["code"], second["error"]["outcome"]) == ("too_many_uploads", "not_created")
    assert second["error"]["retryAfterSeconds"] > 0
    assert first[0]["result"]["structuredContent"]["outcome"] == third["outcome"] == "created"


@pytest.mark.slow
def test_a_forwarded_address_is_only_believed_from_a_proxy_that_is_named(tmp_path: Path) -> None:
    tokens = ("--token-file", str(token_file(tmp_path)))
    for trusted, client in [((), "127.0.0.1"), (("--trusted-proxy", "127.0.0.1"), "203.0.113.9")]:
        with sandbox_server(*tokens, *trusted, cwd=tmp_path) as server:
            post(server.url, "tools/list", {"X-Forwarded-For": "203.0.113.9"})
        assert server.access_log()[-1]["client"] == client
