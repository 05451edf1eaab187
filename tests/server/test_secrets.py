"""The API key on every path, echoed back in every place: it comes out nowhere."""

import json
from pathlib import Path
from typing import Any

import pytest
import support
from mcp import Client
from support import CREATE

pytestmark = pytest.mark.slow

CANARY = "canary-5e1c0f7a-key"

ECHOES: dict[str, bytes] = {
    "in a header": support.http_response(b"x", "502 Bad Gateway", "text/plain", f"X-Echo: Bearer {CANARY}"),
    "in a reason": support.http_response(b"", f"500 {CANARY}"),
    "in a web page": support.http_response(f"<html>{CANARY}".encode(), "200 OK", "text/html"),
    "in a content type": support.http_response(b"", "200 OK", CANARY),
    "in a location": support.http_response(b"", "307 Temporary Redirect", "text/plain", f"Location: http://x/{CANARY}"),
    "in an error": support.frame({"error": {"code": CANARY, "reason": CANARY, "deep": [{CANARY: CANARY}]}}),
    "in a result": support.created(CANARY),
    "in a broken frame": support.http_response(b"\xfa" + CANARY.encode()),
    "in place of HTTP": f"{CANARY}\r\n\r\n".encode(),
}


@pytest.mark.anyio
@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES)
async def test_an_echo_of_the_key_comes_out_nowhere(echo: bytes, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with support.upstream(lambda connection, _: connection.sendall(echo)) as up:
        arguments = ["--log-level", "DEBUG", "--retry-seconds", "0", "--timeout", "call=1", "--api-url", up.url]
        server = support.stdio(*arguments, cwd=tmp_path, DECTHINGS_API_KEY=CANARY)
        shell = ["-c", f'exec "$@" 2> {log}', "sh", server.command, *server.args]
        async with Client(server.model_copy(update={"command": "/bin/sh", "args": shell})) as client:
            results = [await client.call_tool(tool, given) for tool, given in CALLS.items()]
    assert f"Bearer {CANARY}" in up.requests[0].headers["authorization"]  # where it belongs
    assert CANARY not in json.dumps([result.model_dump(mode="json") for result in results])
    assert len(log.read_text()) > 1_000
    assert CANARY not in log.read_text()


@pytest.mark.anyio
async def test_a_key_that_is_logged_in_an_escaped_form_comes_out_nowhere(tmp_path: Path) -> None:
    key = r"""canary\\'5e1c"/0f7a\key"""
    echo = support.http_response(json.dumps(key).encode(), "502 Bad Gateway", "text/plain", f"X-Echo: Bearer {key}")
    with support.upstream(echo) as up:
        arguments = ["--log-level", "DEBUG", "--api-url", up.url, "call", "find_models"]
        finished = support.run_server(*arguments, cwd=tmp_path, DECTHINGS_API_KEY=key)
    log = finished.stdout + finished.stderr
    assert "[API key]" in log
    assert "canary" not in log
    assert "0f7a" not in log


CALLS: dict[str, dict[str, Any]] = {
    "create_model": CREATE,
    "find_models": {},
    "wait_for_model": {"modelId": "m", "timeoutSeconds": 1},
    "snapshot_model": {"modelId": "m", "snapshotName": "s"},
    "delete_model": {"modelId": "m", "confirmName": "n"},
}


@pytest.mark.parametrize("key", [CANARY + " and more", "${" + CANARY + "}", CANARY + "\x00"])
@pytest.mark.anyio
async def test_a_refused_key_comes_out_nowhere(key: str, tmp_path: Path) -> None:
    path = tmp_path / "auth.txt"
    path.write_text(key)
    async with Client(support.stdio("--api-key-file", str(path), cwd=tmp_path)) as client:
        result = await client.call_tool("create_model", CREATE)
    assert (result.structured_content or {})["error"]["code"] == "not_configured"
    assert CANARY not in result.model_dump_json()
