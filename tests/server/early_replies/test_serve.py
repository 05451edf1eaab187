"""Early replies cannot be told from those of the server, but for the time."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import support
from conversations import WITHOUT_EARLY_REPLIES, Told, converse, envelope, handshake, notification, request
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sessions import CALL, INITIALIZED, LISTS, VERSIONS, sessions

pytestmark = pytest.mark.slow


def recorded() -> list[Any]:
    return [pytest.param(session["lines"], id=session["client"]) for session in support.load_jsonl("sessions.jsonl")]


@cache
def plain(lines: tuple[str, ...], cwd: Path) -> Told:
    """What is seen of the plain server, asked one line after the other."""
    return converse(lines, cwd, variables=WITHOUT_EARLY_REPLIES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plain")


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("lines", recorded())
def test_recorded_sessions_are_answered_alike(lines: list[str], at_once: bool, tmp_path: Path, folder: Path) -> None:
    told = converse(lines, tmp_path, at_once=at_once)
    expected = plain(tuple(lines), folder)
    assert told == (replace(expected, answers=sorted(expected.answers)) if at_once else expected)
    assert (told.status, told.log) == (0, [])


@pytest.mark.parametrize("version", [*VERSIONS, "1999-01-01"])
def test_every_handshake_and_list_is_answered_alike(version: str, tmp_path: Path) -> None:
    lists = [request(f"é{number}", method, {}) for number, method in enumerate((*LISTS, "ping"))]
    lines = [handshake(version=version), INITIALIZED, *lists, request(2, "tools/call", CALL), *lists]
    assert converse(lines, tmp_path) == converse(lines, tmp_path, variables=WITHOUT_EARLY_REPLIES)


@pytest.mark.parametrize("tools", [["--read-only"], ["--tools", "create_model, find_models"]])
def test_a_choice_of_tools_is_listed_alike(tools: list[str], tmp_path: Path) -> None:
    for lines in (
        [handshake(), INITIALIZED, request(2, "tools/list")],
        [request(1, "server/discover", envelope()), request(2, "tools/list", envelope())],
    ):
        assert converse(lines, tmp_path, *tools) == converse(lines, tmp_path, *tools, variables=WITHOUT_EARLY_REPLIES)


@pytest.mark.timeout(600)  # many cases in one test
@given(lines=sessions(), at_once=st.booleans())
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_generated_sessions_are_answered_alike(lines: list[str], at_once: bool, tmp_path: Path) -> None:
    cancelled = any("notifications/cancelled" in line for line in lines)
    assume(not (at_once and cancelled))  # whether that comes in time is chance
    told = converse(lines, tmp_path, at_once=at_once)
    assert told == converse(lines, tmp_path, at_once=at_once, variables=WITHOUT_EARLY_REPLIES)


def test_a_wrong_option_is_refused_before_anything_is_replied_to(tmp_path: Path) -> None:
    for wrong in (["--files", "none"], ["--tools", "none"], ["--retry-seconds", "x"], ["--none"]):
        finished = subprocess.run(
            support.server_command(*wrong), input=handshake() + "\n", cwd=tmp_path, env=support.environment(),
            text=True, capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        assert (finished.stdout, finished.returncode) == ("", 2)
        assert finished.stderr


_HEAVY = {
    "anyio", "asyncio", "email", "httpcore", "httpx", "logging", "mcp", "mcp_types", "platformdirs", "pydantic",
    "pydantic_core", "ssl", "starlette", "tempfile", "uvicorn",
}  # fmt: skip
_SHOW_MODULES_INSTEAD_OF_LOADING = """
import sys
from decthings_mcp.server import cli

def show(_):
    print(*sys.modules, file=sys.stderr, flush=True)
    raise SystemExit(0)

cli._load_server = show
cli.run(["--files", ".", "--tools", "find_models", "--sandbox", "--api-url", "https://localhost/v0"])
"""


def test_nothing_heavy_is_imported_before_the_first_reply(tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-c", _SHOW_MODULES_INSTEAD_OF_LOADING], input=handshake() + "\n{}\n", cwd=tmp_path,
        env=support.environment(), text=True, capture_output=True, timeout=60, check=True,
    )  # fmt: skip
    imported = {name.partition(".")[0] for name in finished.stderr.split()}
    assert json.loads(finished.stdout)["result"]["serverInfo"]["name"] == "decthings"
    assert "decthings_mcp" in imported
    assert not imported & _HEAVY


@pytest.mark.parametrize("variables", [{"DECTHINGS_MCP_EARLY_REPLIES": "0"}, {"DECTHINGS_MCP_FRONT": "0"}])
def test_early_replies_can_be_switched_off(variables: dict[str, str], tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-c", _SHOW_MODULES_INSTEAD_OF_LOADING], input=handshake() + "\n{}\n", cwd=tmp_path,
        env=support.environment(**variables), text=True, capture_output=True, timeout=60, check=True,
    )  # fmt: skip
    assert finished.stdout == ""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_while_it_is_loaded_ends_it_at_once_and_quietly(number: int, status: int, tmp_path: Path) -> None:
    with subprocess.Popen(
        support.server_command(), cwd=tmp_path, env=support.environment(), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as running:  # fmt: skip
        assert running.stdin is not None
        assert running.stdout is not None
        assert running.stderr is not None
        print(handshake(), file=running.stdin, flush=True)
        running.stdout.readline()
        running.send_signal(number)
        assert running.wait(30) == status
        assert (running.stdout.read(), running.stderr.read()) == ("", "")


@pytest.mark.parametrize("variables", [{}, WITHOUT_EARLY_REPLIES])
def test_a_call_that_is_cancelled_while_it_is_loaded_is_never_answered(
    variables: dict[str, str], tmp_path: Path
) -> None:
    with support.upstream(support.stay_silent) as silent:
        lines = [handshake(), INITIALIZED, request(2, "tools/list")]
        call = request(3, "tools/call", CALL)
        cancel = notification("notifications/cancelled", params={"requestId": 3})
        command = support.server_command("--api-url", silent.url)
        with subprocess.Popen(
            command, cwd=tmp_path, env=support.environment(DECTHINGS_API_KEY="k", **variables), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        ) as running:  # fmt: skip
            assert running.stdin is not None
            assert running.stdout is not None
            print(*lines, call, cancel, request(4, "ping"), sep="\n", file=running.stdin, flush=True)
            ids = [json.loads(running.stdout.readline())["id"] for _ in range(3)]
            rest, _ = running.communicate(timeout=60)
    assert (sorted(ids), rest) == ([1, 2, 4], "")


def test_a_message_in_pieces_and_one_without_a_line_end_are_answered(tmp_path: Path) -> None:
    with subprocess.Popen(
        support.server_command(), cwd=tmp_path, env=support.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        for chunk in (handshake().encode()[:9], handshake().encode()[9:] + b"\r\n"):
            running.stdin.write(chunk)
            running.stdin.flush()
        assert json.loads(running.stdout.readline())["id"] == 1
        rest, _ = running.communicate(request(2, "ping").encode(), timeout=60)
    assert json.loads(rest)["id"] == 2
    assert running.returncode == 0


def test_what_prints_to_stdout_while_it_is_loaded_does_not_reach_the_client(tmp_path: Path) -> None:
    (tmp_path / "httpx.py").write_text("print('a stray line', flush=True)\nraise ImportError('not the right one')\n")
    told = subprocess.run(
        support.server_command(), input=handshake() + "\n" + request(2, "tools/call", CALL) + "\n", cwd=tmp_path,
        env=support.environment(PYTHONPATH=str(tmp_path)), text=True, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert [json.loads(line)["id"] for line in told.stdout.splitlines()] == [1]
    assert "a stray line" in told.stderr
    assert told.returncode == 1


def test_the_server_takes_over_in_the_middle_of_a_conversation_and_nothing_is_lost(tmp_path: Path) -> None:
    """More pings, one after the other, than fit into the time until the server is loaded."""
    pings = [request(f"p{number}", "ping") for number in range(1500)]
    told = converse([handshake(), INITIALIZED, *pings, request(2, "tools/call", CALL)], tmp_path)
    ids = [json.loads(answer)["id"] for answer in told.answers]
    assert ids == [1, *(f"p{number}" for number in range(1500)), 2]
    assert {answer.partition(',"result":')[2] for answer in told.answers[1:-1]} == {"{}}\n"}
    assert (told.status, told.log) == (0, [])
