"""The server over Streamable HTTP, as a process: both revisions, its limits, and how it ends."""

import base64
import json
import signal
import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import httpx
import httpx2
import pytest
import support
from decthings_mcp.server.http.names import checked_origin
from decthings_mcp.server.settings import SettingsError
from decthings_mcp.tools.catalog import TOOL_NAMES
from http_support import HttpServer, bearer, call, connected, keyed_server, post, sandbox_server, token_file
from mcp.shared.exceptions import MCPError
from support import CREATE, CREATE_STATE, EXAMPLE_SNAPSHOT


@pytest.mark.anyio
@pytest.mark.parametrize(("mode", "revision"), [("legacy", "2025-11-25"), ("auto", "2026-07-28")])
async def test_both_revisions_over_http_create_a_model(mode: str, revision: str, server: HttpServer) -> None:
    async with connected(server.url, mode=mode) as client:
        assert client.protocol_version == revision
        assert [tool.name for tool in (await client.list_tools()).tools] == list(TOOL_NAMES)
        created = await client.call_tool("create_model", {**CREATE, "name": mode})
        again = await client.call_tool("create_model", {**CREATE, "name": mode})
    assert (created.structured_content or {})["outcome"] == "created"
    assert (again.structured_content or {})["error"]["code"] == "name_already_used"


@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_a_long_call_reports_progress(mode: str, server: HttpServer) -> None:
    options = {**EXAMPLE_SNAPSHOT, "initialState": CREATE_STATE}
    steps: list[float] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        steps.append(progress)

    async with connected(server.url, mode=mode) as client:
        given = {**CREATE, "name": f"waiting {mode}", "options": options}
        created = (await client.call_tool("create_model", given)).structured_content or {}
        waiting = {"modelId": created["result"]["modelId"]}
        waited = await client.call_tool("wait_for_model", waiting, progress_callback=note)
    assert (waited.structured_content or {})["state"] == "ready"
    assert len(steps) >= 2
    assert steps == sorted(set(steps))


@pytest.mark.slow
def test_no_path_is_read_unless_a_folder_is_shared(server: HttpServer, tmp_path: Path) -> None:
    upload = {"type": "upload", "format": "onnx", "data": {"path": "m.onnx"}}  # there is one in the working folder
    answer = call(server.url, "create_model", {**CREATE, "options": upload})["result"]["structuredContent"]
    assert answer["error"]["code"] == "file_not_allowed"
    assert "base64" in answer["nextStep"]
    assert "--files" in answer["nextStep"]
    (tmp_path / "m.onnx").write_bytes(b"no model")
    with sandbox_server("--files", str(tmp_path), cwd=tmp_path) as shared:
        answer = call(shared.url, "create_model", {**CREATE, "options": upload})["result"]["structuredContent"]
    assert answer["error"]["code"] == "not_a_model_file"


def test_a_host_or_an_origin_that_is_not_named_is_refused(server: HttpServer) -> None:
    for headers, status in [
        ({"Host": "evil.example"}, 421), ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://localhost:3000"}, 200), ({}, 200),
    ]:  # fmt: skip
        assert post(server.url, "tools/list", headers).status_code == status


def test_the_log_has_nothing_that_a_terminal_obeys(server: HttpServer) -> None:
    for line in ("Host: evil\x1b[2J", "Host: 127.0.0.1\r\nOrigin: https://evil.example\x1b[31m"):
        with socket.create_connection(("127.0.0.1", server.port), 30) as connection:
            head = ["POST /mcp HTTP/1.1", "Content-Type: application/json", "Content-Length: 0", "Connection: close"]
            connection.sendall("\r\n".join([*head, line, "", ""]).encode())
            while connection.recv(65536):
                pass
    while "Invalid Origin header" not in "".join(server.lines):
        assert server.process.poll() is None
    assert "\x1b" not in "".join(server.lines)


@pytest.mark.slow
def test_hosts_and_origins_can_be_named(tmp_path: Path) -> None:
    tokens = ("--token-file", str(token_file(tmp_path)))
    named = (*tokens, "--allowed-host", "MCP.example.com", "--allowed-origin", "https://App.example.com/")
    with sandbox_server(*named, cwd=tmp_path) as server:
        for headers, status in [
            ({"Host": "mcp.example.com"}, 200), ({"Host": "mcp.example.com:8443"}, 200),
            ({"Host": "Mcp.Example.COM:443"}, 200), ({"Host": "mcp.example.com.:443"}, 200),
            ({"Host": "LOCALHOST"}, 200), ({"Host": "[::1]:8000"}, 200),
            ({"Host": "mcp.example.com.evil.example"}, 421), ({"Origin": "https://app.example.com"}, 200),
            ({"Origin": "https://app.example.com.evil.example"}, 403),
        ]:  # fmt: skip
            assert post(server.url, "tools/list", {**bearer("anna"), **headers}).status_code == status, headers
        asked = httpx.options(
            server.url, headers={"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST"}
        )
    assert asked.headers["access-control-allow-origin"] == "https://app.example.com"


@pytest.mark.parametrize(("given", "origin"), [
    ("https://app.example.com", "https://app.example.com"), ("HTTPS://App.Example.com/", "https://app.example.com"),
    ("https://app.example.com:443", "https://app.example.com"), ("http://[::1]:3000", "http://[::1]:3000"),
    ("https://app.example.com:80", "https://app.example.com:80"), ("vscode-file://vscode-app", "vscode-file://vscode-app"),
])  # fmt: skip
def test_an_allowed_origin_is_what_browsers_send(given: str, origin: str) -> None:
    assert checked_origin(given) == origin


@pytest.mark.parametrize("given", [
    "*", "", "null", "app.example.com", "https://", "https://*.example.com", "https://app.example.com/page",
    "https://app.example.com:*", "https://a@app.example.com", "https://app.example.com?x",
])  # fmt: skip
def test_an_allowed_origin_that_no_browser_sends_is_refused(given: str) -> None:
    with pytest.raises(SettingsError, match="--allowed-origin must be"):
        checked_origin(given)


def test_a_key_in_the_url_is_refused_and_not_logged(server: HttpServer) -> None:
    response = post(f"{server.url}?decthings_api_key=canary-in-the-query", "tools/list")
    assert response.status_code == 400
    assert "headers" in response.json()["error"]["message"]
    assert "canary-in-the-query" not in "".join(server.lines)


@pytest.mark.parametrize("chunked", [True, False])
def test_a_request_that_is_too_large_gets_413(chunked: bool, server: HttpServer) -> None:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"x": "x" * (5 << 20)}}).encode()
    content = iter([body[:1_000_000], body[1_000_000:]]) if chunked else body
    response = httpx.post(server.url, content=content, headers={"Content-Type": "application/json"})
    assert response.status_code == 413
    assert "4 MiB" in response.json()["error"]["message"]


@pytest.mark.parametrize("value", ["1", "[]", "{}", '{"x":1}'])
def test_a_request_with_too_many_values_gets_413(value: str, server: HttpServer) -> None:
    body = f'{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"x":[{",".join([value] * 100_001)}]}}}}'
    response = httpx.post(server.url, content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 413
    assert "100,000 values" in response.json()["error"]["message"]


def test_a_large_request_within_the_limit_is_served(server: HttpServer) -> None:
    data = base64.b64encode(b"\x1c\0\0\0TFL3" + bytes(100_000)).decode()
    upload = {"type": "upload", "format": "tflite", "data": {"base64": data}}
    answer = call(server.url, "create_model", {**CREATE, "name": "base64", "options": upload})["result"]
    assert answer["structuredContent"]["upload"]["bytes"] == 100_008


@pytest.mark.parametrize("path", ["mcp/", "mcp/?key=canary", "healthz/", "mcp%3fkey=canary"])
def test_other_paths_get_404(path: str, server: HttpServer) -> None:
    answer = httpx.post(f"{server.root}/{path}", json={}, headers={"Host": "evil.example"})
    assert answer.status_code == 404
    assert "location" not in answer.headers
    assert "canary" not in "".join(server.lines)


def end_meanwhile(server: HttpServer, held: support.HeldReply, number: signal.Signals) -> None:
    """The signal comes during a call, to which Decthings responds when the server takes no more connections."""
    assert held.started.wait(30)
    server.process.send_signal(number)
    with suppress(httpx.TransportError):
        while httpx.get(f"{server.root}/healthz", timeout=1, verify=support.NO_CERTIFICATES):
            assert server.process.poll() is None
    held.released.set()


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_call_in_progress_is_finished_before_shutdown(number: signal.Signals, status: int, tmp_path: Path) -> None:
    held, responses = support.HeldReply(support.created()), list[httpx.Response]()
    with support.upstream(held) as up, keyed_server(up, tmp_path) as server:

        def create() -> None:
            responses.append(post(server.url, "tools/call", name="create_model", arguments=CREATE))

        calling = threading.Thread(target=create)
        calling.start()
        end_meanwhile(server, held, number)
        calling.join(30)
        assert server.process.wait(30) == status
    assert responses[0].json()["result"]["structuredContent"]["outcome"] == "created"
    assert responses[0].headers["connection"] == "close"  # or a proxy would send the next request on it


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_call_in_progress_of_a_session_is_finished_before_shutdown(tmp_path: Path) -> None:
    held = support.HeldReply(support.created())
    with support.upstream(held) as up, keyed_server(up, tmp_path) as server:
        ending = threading.Thread(target=end_meanwhile, args=(server, held, signal.SIGTERM))
        ending.start()
        try:
            async with connected(server.url, mode="legacy") as client:
                created = await client.call_tool("create_model", CREATE)
                assert (created.structured_content or {})["outcome"] == "created"
        except* (MCPError, httpx2.HTTPError):
            pass  # what the client says at its end comes too late
        ending.join(30)
        assert await anyio.to_thread.run_sync(server.process.wait, 15) == 0


@pytest.mark.slow
def test_a_call_that_outlasts_shutdown_gets_503_and_a_log_line(tmp_path: Path) -> None:
    answers: list[Any] = []
    with support.upstream(support.stay_silent) as silent, keyed_server(silent, tmp_path) as server:
        calling = threading.Thread(target=lambda: answers.append(call(server.url, "create_model", CREATE)))
        calling.start()
        while not silent.requests:
            assert server.process.poll() is None
        assert server.end(signal.SIGTERM) == 0
        calling.join(30)
    assert answers[0]["error"]["code"] == 503
    assert "same name" in answers[0]["error"]["message"]
    assert "create_model of 'n' was cancelled after all of it was sent" in "".join(server.lines)


@pytest.mark.slow
@pytest.mark.anyio
async def test_an_idle_session_with_an_open_stream_does_not_hold_the_end(tmp_path: Path) -> None:
    with sandbox_server(cwd=tmp_path) as server:
        with anyio.fail_after(8):  # less than what open calls are given
            try:
                async with connected(server.url, mode="legacy") as client:
                    await client.list_tools()
                    assert await anyio.to_thread.run_sync(server.end, signal.SIGTERM) == 0
            except* (MCPError, httpx.HTTPError):
                pass


@pytest.mark.slow
@pytest.mark.anyio
async def test_several_workers_serve_one_address_without_sessions(tmp_path: Path) -> None:
    with sandbox_server("--workers", "2", "--calls-per-second", "1000", cwd=tmp_path) as server:
        for mode in ("legacy", "auto"):
            async with connected(server.url, mode=mode) as client:
                for number in range(5):
                    created = await client.call_tool("create_model", {**CREATE, "name": f"{mode} {number}"})
                    assert (created.structured_content or {})["outcome"] == "created"
        assert server.end(signal.SIGTERM) == 0


@pytest.mark.slow
@pytest.mark.parametrize("workers", [[], ["--workers", "2"]])
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_a_server_that_has_only_just_said_where_it_serves(
    number: signal.Signals, status: int, workers: list[str], tmp_path: Path
) -> None:
    with sandbox_server(*workers, cwd=tmp_path) as server:
        assert server.end(number) == (0 if workers else status)


def ask_for_ever(url: str) -> None:
    while True:
        httpx.get(url, timeout=60)


@pytest.mark.slow
def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    with sandbox_server("--workers", "2", cwd=tmp_path) as server:
        assert httpx.get(f"{server.root}/healthz", timeout=60).status_code == 200
        server.end(signal.SIGKILL)
        with pytest.raises(httpx.TransportError):
            ask_for_ever(f"{server.root}/healthz")


@pytest.mark.slow
def test_the_http_server_reports_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = support.run_server("--http", "--sandbox", "--sandbox-data", str(tmp_path), "--port", port, cwd=tmp_path)
    assert ended.returncode == 2
    assert f"Cannot listen on 127.0.0.1:{port}: Address already in use" in ended.stderr
    assert "Traceback" not in ended.stderr
