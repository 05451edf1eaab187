"""What deploy/nginx.conf says, and what a real nginx does with it before three replicas."""

import re
import socket
import subprocess
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
import support
from decthings_mcp.server.cli import parser
from decthings_mcp.server.http import serve as serving
from deploy_support import NGINX_CONF, REPLICAS, SERVICES
from http_support import bearer, post, sandbox_server, token_file
from nginx_support import gateway, needs_nginx, nginx_command, nginx_conf

pytestmark = pytest.mark.slow


@pytest.fixture
def replicas() -> Generator[list[support.Upstream]]:
    """Three that respond."""
    with ExitStack() as stack:
        answer = support.http_response(b"{}", "200 OK", "application/json")
        yield [stack.enter_context(support.upstream(answer)) for _ in range(3)]


def port_of(replica: support.Upstream) -> int:
    return int(replica.url.split(":")[2].partition("/")[0])


def asked(replicas: list[support.Upstream]) -> int:
    return sum(len(replica.requests) for replica in replicas)


HANG_UP = b"HTTP/1.1 200 OK\r\nConnection: close"
"""In the middle of the response, as a process that dies over a call."""


@needs_nginx
def test_nginx_understands_the_file(tmp_path: Path) -> None:
    path = nginx_conf(tmp_path, 8080, [1, 2, 3])
    done = subprocess.run(nginx_command(path, "-t"), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "[warn]" not in done.stderr
    path.write_text(path.read_text().replace("least_conn", "least_con"))
    assert subprocess.run(nginx_command(path, "-t"), capture_output=True, timeout=60).returncode != 0


@needs_nginx
def test_nginx_repeats_no_post_that_reached_a_replica(replicas: list[support.Upstream], tmp_path: Path) -> None:
    with gateway(tmp_path, *map(port_of, replicas)) as nginx:
        for name in ("a", "b", "c"):
            assert post(nginx.url, "tools/list", {"Decthings-Api-Key": name}).status_code == 200  # kept connections
        for replica in replicas:
            replica.reply = HANG_UP
        before = asked(replicas)
        for i in range(3):
            answer = post(nginx.url, "tools/list", {"Decthings-Api-Key": "k"})
            assert answer.status_code == 502
            assert "not known" in answer.json()["error"]["message"]
            assert asked(replicas) <= before + 1 + i


@needs_nginx
def test_the_upload_page_understands_what_nginx_says_itself(replicas: list[support.Upstream], tmp_path: Path) -> None:
    with gateway(tmp_path, *map(port_of, replicas)) as nginx, ThreadPoolExecutor(20) as pool:

        def describe(_: int) -> httpx.Response:
            return httpx.post(f"{nginx.root}/upload/describe", verify=support.NO_CERTIFICATES)

        responses = pool.map(describe, range(200))
        refused = next(response for response in responses if response.status_code == 429).json()["error"]
        assert (refused["code"], refused["outcome"]) == ("too_many_calls", "not_created")
    for replica in replicas:
        replica.reply = HANG_UP
    (tmp_path / "again").mkdir()
    with gateway(tmp_path / "again", *map(port_of, replicas)) as nginx:
        lost = httpx.post(f"{nginx.root}/upload", content=b"x", verify=support.NO_CERTIFICATES)
        assert (lost.status_code, lost.json()["error"]["outcome"]) == (502, "unknown")


@needs_nginx
def test_nginx_skips_closed_replicas(replicas: list[support.Upstream], closed_port: int, tmp_path: Path) -> None:
    with gateway(tmp_path, closed_port, closed_port, port_of(replicas[2])) as nginx:
        for _ in range(6):
            assert post(nginx.url, "tools/list", {"Decthings-Api-Key": "k"}).status_code == 200
        assert len(replicas[2].requests) == 6
        assert max(len(line["replica"].split(", ")) for line in nginx.access_log()) > 1


@needs_nginx
def test_replicas_hear_who_asks_for_which_name_with_which_key(replicas: list[support.Upstream], tmp_path: Path) -> None:
    secrets = {"Decthings-Api-Key": "canary-key", "Authorization": "Bearer canary-token"}
    with gateway(tmp_path, *map(port_of, replicas)) as nginx:
        answer = post(nginx.url, "tools/list", {**secrets, "Host": "mcp.example.com"})
        refused = post(f"{nginx.url}?key=canary-query", "tools/list", secrets)
        large = httpx.post(f"{nginx.url}?key=canary-query", content=b" " * (6 << 20), headers=secrets)
        too_large = httpx.post(nginx.url, content=b" " * (6 << 20), headers=secrets)
        elsewhere = httpx.get(nginx.url.replace("/mcp", "/canary"), headers=secrets)
        logs = nginx.logs()
    assert answer.status_code == 200
    (request,) = [request for replica in replicas for request in replica.requests]
    assert request.headers["host"] == "mcp.example.com"
    assert request.headers["x-forwarded-for"] == "127.0.0.1"
    assert request.headers["decthings-api-key"] == "canary-key"
    assert request.headers["authorization"] == "Bearer canary-token"
    assert request.headers["mcp-method"] == "tools/list"
    assert "close" not in request.headers.get("connection", "")
    assert (refused.status_code, large.status_code) == (400, 400)
    assert "headers" in refused.json()["error"]["message"]
    assert too_large.status_code == 413
    assert elsewhere.status_code == 404
    assert "/mcp" in logs
    for canary in ("canary-key", "canary-token", "canary-query"):
        assert canary not in logs


@needs_nginx
@pytest.mark.parametrize("header", ["Decthings-Api-Key", "Authorization"])
def test_nginx_limits_calls_by_caller(header: str, replicas: list[support.Upstream], tmp_path: Path) -> None:
    conf = NGINX_CONF.replace("$http_decthings_api_key", f"$http_{header.lower().replace('-', '_')}")
    with gateway(tmp_path, *map(port_of, replicas), conf=conf) as nginx, httpx.Client() as client:
        answers = [client.post(nginx.url, headers={header: "busy"}) for _ in range(200)]
        other = client.post(nginx.url, headers={header: "quiet"})
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert refused[0].headers["Retry-After"] == "1"
    assert "nothing was done" in refused[0].json()["error"]["message"]
    assert sum(answer.status_code == 200 for answer in answers) == asked(replicas) - 1 >= 40
    assert other.status_code == 200


@needs_nginx
def test_nginx_passes_events_on_one_by_one(replicas: list[support.Upstream], tmp_path: Path) -> None:
    def stream(connection: socket.socket, _: support.Request) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        connection.sendall(b"data: 1\n\n")
        connection.recv(1)  # the stream goes on until nginx hangs up, as it does when its client has

    for replica in replicas:
        replica.reply = stream
    headers = {"Decthings-Api-Key": "k"}
    with (
        gateway(tmp_path, *map(port_of, replicas)) as nginx,
        httpx.stream("POST", nginx.url, headers=headers, content=b"{}", timeout=10) as answer,
    ):
        assert next(answer.iter_raw()) == b"data: 1\n\n"


@needs_nginx
def test_replicas_behind_nginx_serve_mcp_and_know_who_calls(tmp_path: Path) -> None:
    with ExitStack() as stack:
        tokens = ("--token-file", str(token_file(tmp_path)))
        arguments = (*tokens, "--allowed-host", "mcp.example.com", "--trusted-proxy", "127.0.0.1", "--stateless")
        servers = [stack.enter_context(sandbox_server(*arguments, cwd=tmp_path)) for _ in range(3)]
        folder = tmp_path / "gateway"
        folder.mkdir()
        nginx = stack.enter_context(gateway(folder, *(server.port for server in servers)))
        headers = {**bearer("anna"), "Host": "mcp.example.com", "X-Forwarded-For": "192.0.2.7"}
        answers = [post(nginx.url, "tools/list", headers) for _ in range(6)]
        assert [answer.status_code for answer in answers] == [200] * 6
        assert post(nginx.url, "tools/list", {**headers, "Host": "evil.example"}).status_code == 421
        assert httpx.get(nginx.url.replace("/mcp", "/healthz")).json() == {"status": "ok"}
        used = {line["replica"] for line in nginx.access_log() if line["status"] == 200}
    assert len(used) == 3
    lines = [line for server in servers for line in server.access_log() if line["status"] == 200]
    assert {line["client"] for line in lines} == {"192.0.2.7"}


def test_nginx_retries_no_call_that_may_have_acted() -> None:
    directives = [line.split("#")[0] for line in NGINX_CONF.splitlines()]
    (named,) = re.findall(r"proxy_next_upstream ([^;]*);", "\n".join(directives))
    assert set(named.split()) <= {"error", "timeout"}
    seconds = re.findall(r"proxy_read_timeout (\d{2,})s;", "\n".join(directives))
    assert len(seconds) == 2
    assert min(map(int, seconds)) > 60
    (idle,) = re.findall(r"upstream replicas \{.*?keepalive_timeout (\d+)s;", NGINX_CONF, re.DOTALL)
    assert int(idle) < serving._IDLE_SECONDS  # pyright: ignore[reportPrivateUsage]


def test_nginx_asks_the_replicas_of_compose() -> None:
    servers = re.findall(r"^ +server ([\w-]+):(\d+)", NGINX_CONF, re.MULTILINE)
    assert servers == [(name, str(parser().parse_args([]).port)) for name in REPLICAS]
    mounted = {source: target for source, target, _ in (m.split(":") for m in SERVICES["nginx"]["volumes"])}
    assert mounted["./nginx.conf"] in SERVICES["nginx"]["entrypoint"]
