"""The access log: one line of JSON for each request."""

from __future__ import annotations

from http_support import HttpServer, call, post


def test_the_access_log_has_a_json_line_for_each_request(server: HttpServer) -> None:
    call(server.url, "find_models", {}, {"User-Agent": "x"})
    line = server.logged("name", "find_models")
    assert {name: line[name] for name in ("client", "caller", "request", "method", "status")} == {
        "client": "127.0.0.1", "caller": "anyone", "request": "POST /mcp", "method": "tools/call", "status": 200,
    }  # fmt: skip
    assert line["seconds"] < 60


def test_a_header_cannot_write_lines_of_its_own_into_the_log(server: HttpServer) -> None:
    post(server.url, "tools/list", {"Mcp-Name": "x" * 5_000})
    assert len(server.logged("name", "xxx")["name"]) == 100
