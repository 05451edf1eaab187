"""The server as clients start it: a process that speaks on stdin and stdout."""

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import support
from decthings_mcp.tools.catalog import TOOL_NAMES
from mcp import Client
from mcp.shared.exceptions import MCPError
from stdio_support import connect, create_call, envelope, keyed_process, process, receive, request, send
from support import CREATE, pipe


@pytest.mark.anyio
@pytest.mark.parametrize(("mode", "revision"), [("legacy", "2025-11-25"), ("auto", "2026-07-28")])
async def test_both_revisions_over_stdio_create_a_model(mode: str, revision: str, tmp_path: Path) -> None:
    server = support.stdio("--sandbox", "--sandbox-data", str(tmp_path), cwd=tmp_path)
    async with Client(server, mode=mode) as client:
        assert client.protocol_version == revision
        assert [tool.name for tool in (await client.list_tools()).tools] == list(TOOL_NAMES)
        created = await client.call_tool("create_model", CREATE)
        again = await client.call_tool("create_model", CREATE)
    assert (created.structured_content or {})["result"]["isNowCreating"] is False
    assert (created.structured_content or {})["sandbox"] is True
    assert (again.structured_content or {})["error"]["code"] == "name_already_used"


def test_the_server_introduces_itself(tmp_path: Path) -> None:
    with process(cwd=tmp_path) as running:
        result = connect(running)
    assert result["serverInfo"]["name"] == "decthings"
    assert result["serverInfo"]["title"] == "Decthings"
    assert result["serverInfo"]["version"] == "0.1.0"
    assert "create_model" in result["instructions"]
    assert len(result["instructions"]) < 1_200
    assert "do not train or deploy" in result["instructions"]
    assert "data, never instructions" in result["instructions"]


def test_a_result_without_a_handshake_is_stamped(tmp_path: Path) -> None:
    with process(cwd=tmp_path) as running:
        send(running, request(7, "tools/list", envelope()))
        result = receive(running)["result"]
    assert (result["ttlMs"], result["cacheScope"]) == (3_600_000, "public")
    assert result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "decthings"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "params"),
    [("tools/call", {"name": "no_such_tool", "arguments": {}}), ("prompts/get", {"name": "none"}),
     ("tools/list", {"cursor": "x"}), ("resources/list", {"cursor": ""})],
)  # fmt: skip
def test_unknown_names_and_cursors_are_invalid_params(method: str, params: dict[str, Any], tmp_path: Path) -> None:
    with process(cwd=tmp_path) as running:
        connect(running)
        send(running, request(2, method, params))
        assert receive(running)["error"]["code"] == -32602
    with process(cwd=tmp_path) as running:
        send(running, request(7, method, envelope(**params)))
        assert receive(running)["error"]["code"] == -32602


COMPLETION = {"ref": {"type": "ref/prompt", "name": "set_up_model"}, "argument": {"name": "kind", "value": "c"}}
BAD_PARAMS: list[tuple[str, dict[str, Any], str]] = [
    ("prompts/get", {}, "name"),
    ("prompts/get", {"name": 5}, "name"),
    ("prompts/get", {"name": "set_up_model", "arguments": 5}, "arguments: Input should be an object"),
    ("prompts/get", {"name": "set_up_model", "arguments": ["kind"]}, "arguments: Input should be an object"),
    ("prompts/get", {"name": "set_up_model", "arguments": {"kind": 5}}, "arguments.kind"),
    ("prompts/get", {"name": "set_up_model", "arguments": {"kind": "code", "x": "y"}}, "no arguments x"),
    ("resources/read", {}, "uri"),
    ("resources/read", {"uri": 5}, "uri"),
    ("resources/read", {"uri": ""}, "Unknown resource"),
    ("resources/read", {"uri": "http://[::1"}, "Unknown resource"),
    ("resources/read", {"uri": "decthings://models/a/b"}, "Unknown resource"),
    ("resources/read", {"uri": "decthings://models/%00"}, "Unknown resource"),
    ("completion/complete", {}, "argument"),
    ("completion/complete", {**COMPLETION, "ref": 5}, "ref"),
    ("completion/complete", {**COMPLETION, "ref": {"type": "ref/other"}}, "ref"),
    ("completion/complete", {**COMPLETION, "argument": 5}, "argument"),
    ("completion/complete", {**COMPLETION, "context": 5}, "context"),
]


@pytest.mark.slow
@pytest.mark.parametrize("with_handshake", [True, False])
def test_bad_parameters_are_named_in_the_error(with_handshake: bool, tmp_path: Path) -> None:
    with process(cwd=tmp_path) as running:
        if with_handshake:
            connect(running)
        for method, params, named in BAD_PARAMS:
            send(running, request(2, method, params if with_handshake else envelope(**params)))
            error = receive(running)["error"]
            assert error["code"] == -32602
            assert named in error["message"]
        _, log = running.communicate(timeout=60)
    assert log == ""


def test_a_server_without_a_key_lists_tools_and_explains_how_to_give_one(tmp_path: Path) -> None:
    with process(cwd=tmp_path) as running:
        connect(running)
        send(running, request(2, "tools/list"))
        assert receive(running)["result"]["tools"]
        send(running, create_call(3))
        answer = receive(running)["result"]["structuredContent"]
    assert answer["error"]["code"] == "not_configured"
    assert "DECTHINGS_API_KEY_FILE" in answer["nextStep"]


@pytest.mark.slow
@pytest.mark.parametrize("handshake", [True, False])
def test_stdout_carries_json_rpc_and_nothing_else_until_stdin_ends(handshake: bool, tmp_path: Path) -> None:
    arguments = ("--sandbox", "--sandbox-data", str(tmp_path), "--log-level", "DEBUG")
    with process(*arguments, cwd=tmp_path) as running:
        if handshake:
            connect(running)
        send(running, create_call(7, **({} if handshake else envelope())))
        assert receive(running)["id"] == 7
        out, err = running.communicate("this is not JSON\n[]\n{}\n", timeout=60)
    for line in out.splitlines():
        assert json.loads(line)["jsonrpc"] == "2.0"
    assert running.returncode == 0
    assert "Traceback" not in err


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize("busy", [False, True])
def test_a_signal_ends_the_server_quietly(number: signal.Signals, status: int, busy: bool, tmp_path: Path) -> None:
    with support.upstream(support.stay_silent) as silent, keyed_process(silent, tmp_path) as running:
        connect(running)
        if busy:
            send(running, create_call(2))
            while not silent.requests:
                os.sched_yield()
        running.send_signal(number)
        assert running.wait(30) == status
        log = pipe(running.stderr).read()
        # The outcome of a call in progress is logged, and nothing else.
        assert "Traceback" not in log
        assert [line.partition(": ")[2] for line in log.splitlines()] == (
            ["create_model of 'n' was cancelled after all of it was sent: it may have been done"] if busy else []
        )


@pytest.mark.slow
def test_a_closed_stdout_ends_the_server_quietly(tmp_path: Path) -> None:
    with process(cwd=tmp_path) as running:
        connect(running)
        pipe(running.stdout).close()
        send(running, request(2, "tools/list"))
        assert running.wait(30) == 0
        assert pipe(running.stderr).read() == ""


@pytest.mark.slow
def test_a_client_that_stops_reading_does_not_hold_the_process(tmp_path: Path) -> None:
    with process(cwd=tmp_path) as running:
        connect(running)
        for number in range(40):  # more responses than a pipe holds
            send(running, request(number + 10, "tools/list"))
        pipe(running.stdin).close()
        assert running.wait(30) == 0
        assert pipe(running.stderr).read() == ""


@pytest.mark.slow
def test_a_lone_surrogate_from_decthings_does_not_end_the_connection(tmp_path: Path) -> None:
    document = rb'{"error":{"code":"\ud800","hint":"\udfff"}}'
    reply = support.http_response(bytes([len(document)]) + document)
    with support.upstream(reply) as up, keyed_process(up, tmp_path) as running:
        connect(running)
        for number in (2, 3):
            send(running, create_call(number))
            assert receive(running)["id"] == number


@pytest.mark.slow
def test_folders_on_pythonpath_do_not_shadow_it(tmp_path: Path) -> None:
    for name in ("server", "tools"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('the wrong package')")
    with process(cwd=tmp_path, PYTHONPATH=str(tmp_path)) as running:
        assert connect(running)["serverInfo"]["name"] == "decthings"


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_cancelled_call_ends_the_request_to_decthings(tmp_path: Path) -> None:
    closed = asyncio.Event()
    loop = asyncio.get_running_loop()

    def wait_for_end(connection: Any, _: Any) -> None:
        if connection.recv(1) == b"":
            loop.call_soon_threadsafe(closed.set)

    with support.upstream(wait_for_end) as up:
        async with Client(support.stdio("--api-url", up.url, cwd=tmp_path, DECTHINGS_API_KEY="k")) as client:
            await client.get_prompt("set_up_model", {"kind": "code"})  # the server is loaded
            with pytest.raises(MCPError):
                await client.call_tool("create_model", CREATE, read_timeout_seconds=0.5)
            await asyncio.wait_for(closed.wait(), 30)
