"""What deploy/nginx.conf says, and what a real nginx does with it before three replicas."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import support
from decthings_mcp.server.cli import parser
from decthings_mcp.server.http import serve as serving
from deploy_support import NGINX_CONF, REPLICAS, SERVICES
from http_support import post, sandbox_server

pytestmark = pytest.mark.slow

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@dataclass
class Gateway:
    url: str
    folder: Path

    def logs(self) -> str:
        return "".join(path.read_text() for path in self.folder.glob("*.log"))

    def access_log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "access.log").read_text().splitlines()]


def nginx_conf(folder: Path, port: int, replicas: list[int], text: str = NGINX_CONF) -> Path:
    """The file itself, with addresses of this machine, and logs that can be read."""
    for old, new in [
        ("listen 8080;", f"listen 127.0.0.1:{port};"),
        ("/tmp/nginx", f"{folder}/nginx"),  # noqa: S108 - of the file
        ("/dev/stdout", f"{folder}/access.log"),
        ("error_log stderr error;", f"error_log {folder}/error.log error;"),
        *((f"{name}:8000", f"127.0.0.1:{replica}") for name, replica in zip(REPLICAS, replicas, strict=True)),
    ]:
        assert old in text
        text = text.replace(old, new)
    path = folder / "nginx.conf"
    path.write_text(text)
    return path


def nginx_command(path: Path, *arguments: str) -> list[str]:
    as_owner = "user root; " if os.getuid() == 0 else ""  # whose folders these are
    return [NGINX or "nginx", "-p", str(path.parent), "-c", str(path), "-g", f"{as_owner}daemon off;", *arguments]


@contextmanager
def gateway(folder: Path, *replicas: int, conf: str = NGINX_CONF) -> Generator[Gateway]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    command = nginx_command(nginx_conf(folder, port, list(replicas), conf))
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + 30
            while time.monotonic() < until:
                with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                time.sleep(0.02)
            yield Gateway(f"http://127.0.0.1:{port}/mcp", folder)
        finally:
            process.terminate()


@pytest.fixture
def replicas() -> Generator[list[support.Upstream]]:
    """Three that answer."""
    with ExitStack() as stack:
        answer = support.http(b"{}", "200 OK", "application/json")
        yield [stack.enter_context(support.upstream(answer)) for _ in range(3)]


def port_of(replica: support.Upstream) -> int:
    return int(replica.url.split(":")[2].partition("/")[0])


def asked(replicas: list[support.Upstream]) -> int:
    return sum(len(replica.requests) for replica in replicas)


HANG_UP = b"HTTP/1.1 200 OK\r\nConnection: close"
"""In the middle of the answer, as a process that dies over a call."""

needs_nginx = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


@needs_nginx
def test_nginx_understands_the_file(tmp_path: Path) -> None:
    path = nginx_conf(tmp_path, 8080, [1, 2, 3])
    done = subprocess.run(nginx_command(path, "-t"), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "[warn]" not in done.stderr
    path.write_text(path.read_text().replace("least_conn", "least_con"))
    assert subprocess.run(nginx_command(path, "-t"), capture_output=True, timeout=60).returncode != 0


@needs_nginx
def test_a_post_that_reached_a_replica_is_sent_to_no_other(replicas: list[support.Upstream], tmp_path: Path) -> None:
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
def test_a_post_passes_over_replicas_that_take_no_connection(
    replicas: list[support.Upstream], closed_port: int, tmp_path: Path
) -> None:
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
def test_calls_are_counted_by_caller(header: str, replicas: list[support.Upstream], tmp_path: Path) -> None:
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
def test_events_come_through_one_by_one(replicas: list[support.Upstream], tmp_path: Path) -> None:
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
        arguments = ("--allowed-host", "mcp.example.com", "--trusted-proxy", "127.0.0.1", "--stateless")
        servers = [stack.enter_context(sandbox_server(*arguments, cwd=tmp_path)) for _ in range(3)]
        folder = tmp_path / "gateway"
        folder.mkdir()
        nginx = stack.enter_context(gateway(folder, *(int(server.root.rpartition(":")[2]) for server in servers)))
        headers = {"Host": "mcp.example.com", "X-Forwarded-For": "192.0.2.7"}
        answers = [post(nginx.url, "tools/list", headers) for _ in range(6)]
        assert [answer.status_code for answer in answers] == [200] * 6
        assert post(nginx.url, "tools/list", {"Host": "evil.example"}).status_code == 421
        assert httpx.get(nginx.url.replace("/mcp", "/healthz")).json() == {"status": "ok"}
        used = {line["replica"] for line in nginx.access_log() if line["status"] == 200}
    assert len(used) == 3
    lines = [line for server in servers for line in server.access_log() if line["status"] == 200]
    assert {line["client"] for line in lines} == {"192.0.2.7"}


def test_nginx_is_never_told_to_repeat_calls_that_may_have_done_something() -> None:
    directives = [line.split("#")[0] for line in NGINX_CONF.splitlines()]
    (named,) = re.findall(r"proxy_next_upstream ([^;]*);", "\n".join(directives))
    assert set(named.split()) <= {"error", "timeout"}
    (seconds,) = re.findall(r"proxy_read_timeout (\d{2,})s;", "\n".join(directives))
    assert int(seconds) > 60
    (idle,) = re.findall(r"upstream replicas \{.*?keepalive_timeout (\d+)s;", NGINX_CONF, re.DOTALL)
    assert int(idle) < serving._IDLE_SECONDS  # pyright: ignore[reportPrivateUsage]


def test_nginx_asks_the_replicas_of_compose() -> None:
    servers = re.findall(r"^ +server ([\w-]+):(\d+)", NGINX_CONF, re.MULTILINE)
    assert servers == [(name, str(parser().parse_args([]).port)) for name in REPLICAS]
    mounted = {source: target for source, target, _ in (m.split(":") for m in SERVICES["nginx"]["volumes"])}
    assert mounted["./nginx.conf"] in SERVICES["nginx"]["entrypoint"]
