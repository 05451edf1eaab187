"""The health of the server, and of Decthings, as a load balancer asks for it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import support
from http_support import HttpServer, keyed_server

pytestmark = pytest.mark.slow

UNAUTHORIZED = support.http_response(b"", "401 Unauthorized")


def test_health_needs_no_token_and_takes_any_host(server: HttpServer, tmp_path: Path) -> None:
    for path in ("healthz", "readyz", "readyz?decthings"):
        assert httpx.get(f"{server.root}/{path}", headers={"Host": "10.0.0.1"}).status_code == 200
    with keyed_server(support.unreachable(), tmp_path) as alone:
        assert httpx.get(f"{alone.root}/readyz").status_code == 200
        answer = httpx.get(f"{alone.root}/readyz?decthings")
    assert (answer.status_code, answer.json()["decthings"]) == (503, False)


def test_decthings_is_asked_for_its_health_without_a_key_and_now_and_then(tmp_path: Path) -> None:
    with support.upstream(UNAUTHORIZED) as up, keyed_server(up, tmp_path) as server:
        assert [httpx.get(f"{server.root}/readyz?decthings").status_code for _ in range(3)] == [200] * 3
    (request,) = up.requests
    assert "authorization" not in request.headers


def test_concurrent_health_checks_share_a_request_to_decthings(tmp_path: Path) -> None:
    held = support.HeldReply(UNAUTHORIZED)
    with support.upstream(held) as up, keyed_server(up, tmp_path) as server, ThreadPoolExecutor(2) as asking:
        url = f"{server.root}/readyz?decthings"
        told = [asking.submit(httpx.get, url) for _ in range(2)]
        httpx.get(f"{server.root}/healthz")
        held.released.set()
        assert [future.result().status_code for future in told] == [200, 200]
    assert len(up.requests) == 1
