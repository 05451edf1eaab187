"""Metrics, as Prometheus reads them."""

import base64
import signal
from pathlib import Path

import httpx
import pytest
import support
from http_support import call, keyed_server, sandbox_server
from support import CREATE

pytestmark = pytest.mark.slow


def metrics_at(port: int) -> dict[str, float]:
    lines = httpx.get(f"http://127.0.0.1:{port}/metrics").text.splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


def test_metrics_count_calls_outcomes_and_decthings_requests(tmp_path: Path) -> None:
    port = support.free_port()
    with sandbox_server("--metrics-port", str(port), cwd=tmp_path) as server:
        call(server.url, "create_model", CREATE)
        call(server.url, "create_model", CREATE)
        call(server.url, "create_model", {"name": "n"})
        data = base64.b64encode(b"\x1c\0\0\0TFL3" + bytes(50_000)).decode()
        upload = {"type": "upload", "format": "tflite", "data": {"base64": data}}
        call(server.url, "create_model", {**CREATE, "name": "u", "options": upload})
        call(server.url, "find_models", {})
        call(server.url, "x" * 200, {})
        seen = metrics_at(port)
    calls = "decthings_mcp_tool_calls_total"
    assert seen[f'{calls}{{outcome="created",tool="create_model"}}'] == 2
    assert seen[f'{calls}{{outcome="exists",tool="create_model"}}'] == 1
    assert seen[f'{calls}{{outcome="not_created",tool="create_model"}}'] == 1
    assert seen[f'{calls}{{outcome="done",tool="find_models"}}'] == 1
    assert seen[f'{calls}{{outcome="refused",tool="other"}}'] == 1
    assert seen['decthings_mcp_tool_errors_total{code="name_already_used",tool="create_model"}'] == 1
    assert seen['decthings_mcp_tool_seconds_count{tool="create_model"}'] == 4
    assert seen['decthings_mcp_decthings_requests_total{method="createModel",result="name_already_used"}'] == 1
    assert seen["decthings_mcp_decthings_sent_bytes_total"] > 50_000
    assert seen["decthings_mcp_tool_calls_under_way"] == 0


def test_codes_that_decthings_makes_up_are_one_label(tmp_path: Path) -> None:
    port = support.free_port()
    error = support.frame({"error": {"code": "brand_new_42"}})
    with support.upstream(error) as up, keyed_server(up, tmp_path, "--metrics-port", str(port)) as server:
        call(server.url, "create_model", CREATE)
        seen = metrics_at(port)
    assert seen['decthings_mcp_tool_errors_total{code="other",tool="create_model"}'] == 1
    assert "brand_new_42" not in str(seen)


def test_workers_are_counted_together_and_leave_nothing_behind(tmp_path: Path) -> None:
    port, temporary = support.free_port(), tmp_path / "temporary"
    temporary.mkdir()
    arguments = ("--metrics-port", str(port), "--workers", "2")
    with sandbox_server(*arguments, cwd=tmp_path, TMPDIR=str(temporary)) as server:
        for number in range(10):
            call(server.url, "create_model", {**CREATE, "name": str(number)})
        assert metrics_at(port)['decthings_mcp_tool_calls_total{outcome="created",tool="create_model"}'] == 10
        assert server.end(signal.SIGTERM) == 0
    assert list(temporary.iterdir()) == []
