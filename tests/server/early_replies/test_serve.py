"""Early replies equal those of the server, but for the time."""

import json
import signal
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import stdio_support
import support
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sessions import CALL, LISTS, VERSIONS, sessions
from stdio_support import (
    INITIALIZED,
    WITHOUT_EARLY_REPLIES,
    Transcript,
    converse,
    envelope,
    handshake,
    request,
    show_modules,
)

pytestmark = pytest.mark.slow


def recorded() -> list[Any]:
    return [pytest.param(session["lines"], id=session["client"]) for session in support.load_jsonl("sessions.jsonl")]


@cache
def plain(lines: tuple[str, ...], cwd: Path) -> Transcript:
    """What is seen of the plain server, asked one line after the other."""
    return converse(lines, cwd, variables=WITHOUT_EARLY_REPLIES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plain")


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("lines", recorded())
def test_recorded_sessions_get_equal_replies(lines: list[str], at_once: bool, tmp_path: Path, folder: Path) -> None:
    seen = converse(lines, tmp_path, at_once=at_once)
    expected = plain(tuple(lines), folder)
    assert seen == (replace(expected, responses=sorted(expected.responses)) if at_once else expected)
    assert (seen.status, seen.log) == (0, [])


@pytest.mark.parametrize("version", [*VERSIONS, "1999-01-01"])
def test_early_replies_to_handshakes_and_lists_equal_the_servers(version: str, tmp_path: Path) -> None:
    lists = [request(f"é{number}", method, {}) for number, method in enumerate((*LISTS, "ping"))]
    lines = [handshake(version=version), INITIALIZED, *lists, request(2, "tools/call", CALL), *lists]
    assert converse(lines, tmp_path) == converse(lines, tmp_path, variables=WITHOUT_EARLY_REPLIES)


@pytest.mark.parametrize("tools", [["--read-only"], ["--tools", "create_model, find_models"]])
def test_early_replies_list_the_offered_tools(tools: list[str], tmp_path: Path) -> None:
    for lines in (
        [handshake(), INITIALIZED, request(2, "tools/list")],
        [request(1, "server/discover", envelope()), request(2, "tools/list", envelope())],
    ):
        assert converse(lines, tmp_path, *tools) == converse(lines, tmp_path, *tools, variables=WITHOUT_EARLY_REPLIES)


@pytest.mark.timeout(600)  # many cases in one test
@given(lines=sessions(), at_once=st.booleans())
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_generated_sessions_get_equal_replies(lines: list[str], at_once: bool, tmp_path: Path) -> None:
    cancelled = any("notifications/cancelled" in line for line in lines)
    assume(not (at_once and cancelled))  # whether that comes in time is chance
    seen = converse(lines, tmp_path, at_once=at_once)
    assert seen == converse(lines, tmp_path, at_once=at_once, variables=WITHOUT_EARLY_REPLIES)


def test_a_wrong_option_is_refused_before_any_early_reply(tmp_path: Path) -> None:
    for wrong in (["--api-url", "none"], ["--tools", "none"], ["--retry-seconds", "x"], ["--none"]):
        finished = support.run_server(*wrong, cwd=tmp_path, given=handshake() + "\n")
        assert (finished.stdout, finished.returncode) == ("", 2)
        assert finished.stderr


_HEAVY = {
    "anyio", "asyncio", "email", "httpcore", "httpx", "logging", "mcp", "mcp_types", "platformdirs", "pydantic",
    "pydantic_core", "ssl", "starlette", "tempfile", "uvicorn",
}  # fmt: skip


def test_nothing_heavy_is_imported_before_the_first_reply(tmp_path: Path) -> None:
    finished = show_modules(tmp_path)
    imported = {name.partition(".")[0] for name in finished.stderr.split()}
    assert json.loads(finished.stdout)["result"]["serverInfo"]["name"] == "decthings"
    assert "decthings_mcp" in imported
    assert not imported & _HEAVY


@pytest.mark.parametrize("variables", [{"DECTHINGS_MCP_EARLY_REPLIES": "0"}, {"DECTHINGS_MCP_FRONT": "0"}])
def test_early_replies_can_be_switched_off(variables: dict[str, str], tmp_path: Path) -> None:
    assert show_modules(tmp_path, **variables).stdout == ""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_a_loading_server_at_once_and_quietly(number: int, status: int, tmp_path: Path) -> None:
    with stdio_support.process(cwd=tmp_path) as running:
        stdio_support.send(running, handshake())
        stdio_support.receive(running)
        running.send_signal(number)
        assert running.wait(30) == status
        assert running.communicate() == ("", "")


@pytest.mark.parametrize("variables", [{}, WITHOUT_EARLY_REPLIES])
def test_a_call_cancelled_while_the_server_loads_gets_no_response(variables: dict[str, str], tmp_path: Path) -> None:
    call = request(3, "tools/call", CALL)
    cancel = stdio_support.notification("notifications/cancelled", params={"requestId": 3})
    with support.upstream(support.stay_silent) as up, stdio_support.keyed_process(up, tmp_path, **variables) as running:
        stdio_support.send(
            running, handshake(), INITIALIZED, request(2, "tools/list"), call, cancel, request(4, "ping")
        )
        ids = [stdio_support.receive(running)["id"] for _ in range(3)]
        rest, _ = running.communicate(timeout=60)
    assert (sorted(ids), rest) == ([1, 2, 4], "")


def test_messages_in_pieces_or_without_a_line_end_get_responses(tmp_path: Path) -> None:
    with stdio_support.process(cwd=tmp_path) as running:
        for chunk in (handshake()[:9], handshake()[9:] + "\r\n"):
            print(chunk, end="", file=running.stdin, flush=True)
        assert stdio_support.receive(running)["id"] == 1
        rest, _ = running.communicate(request(2, "ping"), timeout=60)
    assert json.loads(rest)["id"] == 2
    assert running.returncode == 0


def test_prints_while_the_server_loads_do_not_reach_the_client(tmp_path: Path) -> None:
    (tmp_path / "httpx.py").write_text("print('a stray line', flush=True)\nraise ImportError('not the right one')\n")
    lines = f"{handshake()}\n{request(2, 'tools/call', CALL)}\n"
    finished = support.run_server(cwd=tmp_path, given=lines, PYTHONPATH=str(tmp_path))
    assert [json.loads(line)["id"] for line in finished.stdout.splitlines()] == [1]
    assert "a stray line" in finished.stderr
    assert finished.returncode == 1


def test_the_loaded_server_takes_over_a_session_without_loss(tmp_path: Path) -> None:
    """More pings, one after the other, than fit into the time until the server is loaded."""
    pings = [request(f"p{number}", "ping") for number in range(1500)]
    seen = converse([handshake(), INITIALIZED, *pings, request(2, "tools/call", CALL)], tmp_path)
    ids = [json.loads(response)["id"] for response in seen.responses]
    assert ids == [1, *(f"p{number}" for number in range(1500)), 2]
    assert {response.partition(',"result":')[2] for response in seen.responses[1:-1]} == {"{}}\n"}
    assert (seen.status, seen.log) == (0, [])
