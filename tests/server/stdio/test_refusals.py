"""A line that no request can be read from gets an error, so that nobody waits for a response for ever."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import support
from decthings_mcp.server.stdio.refusals import refusals
from hypothesis import given
from hypothesis import strategies as st
from stdio_support import INITIALIZED, handshake, request

PING = request(2, "ping")
DEEP = "[" * 200 + "]" * 200
NOT_JSON, INVALID = -32700, -32600

REFUSED: list[tuple[str, int, list[Any]]] = [
    ("not JSON", NOT_JSON, [None]),
    ("{", NOT_JSON, [None]),
    ("\ufeff" + PING, NOT_JSON, [None]),
    ("[]", INVALID, [None]),
    ("7", INVALID, [None]),
    (f"[{PING},{request('b', 'ping')},{INITIALIZED}]", INVALID, [2, "b"]),
    ("{}", INVALID, [None]),
    ('{"jsonrpc":"2.0","id":2}', INVALID, [2]),
    (PING.replace("2.0", "1.0"), INVALID, [2]),
    (PING.replace('"ping"', "5"), INVALID, [2]),
    (request("ä", "ping", []), INVALID, ["ä"]),
    (request(2, "ping", 5), INVALID, [2]),
    (PING.replace("2,", "null,"), INVALID, [None]),
    (PING.replace("2,", "1.5,"), INVALID, [None]),
    (PING.replace("2,", "2.0,"), INVALID, [None]),
    (PING.replace("2,", "true,"), INVALID, [None]),
    (PING.replace("2,", "{},"), INVALID, [None]),
    (PING.replace("2,", "9" * 5000 + ","), INVALID, [None]),
    (PING.replace("2,", r'"\ud800",'), INVALID, [None]),
    (r'{"jsonrpc":"2.0","id":2,"method":"ping","params":{"a":"\ud800"}}', INVALID, [2]),
    (PING[:-1] + ',"params":{"a":' + "9" * 5000 + "}}", INVALID, [2]),
    (PING[:-1] + ',"params":{"a":' + DEEP + "}}", INVALID, [2]),
    ("[" * 100_000, INVALID, [None]),
]
SILENT = [
    "",
    " \t",
    '{"jsonrpc":"2.0","method":"no/such"}',
    '{"jsonrpc":"2.0","method":"notifications/initialized","params":[]}',
    '{"jsonrpc":"2.0","id":null,"method":"notifications/initialized"}',
    '{"jsonrpc":"2.0","id":2,"result":{}}',
    '{"jsonrpc":"2.0","id":2,"result":5}',
    '{"jsonrpc":"2.0","id":2,"error":5}',
]


@pytest.mark.slow
@pytest.mark.parametrize("early_replies", ["0", "1"])
@pytest.mark.parametrize("opening", [[], [handshake(1), INITIALIZED]])
def test_lines_without_a_request_get_errors(opening: list[str], early_replies: str, tmp_path: Path) -> None:
    lines = [*opening, *(line for line, _, _ in REFUSED), *SILENT, request("last", "ping")]
    finished = support.run_server(cwd=tmp_path, given="\n".join(lines), DECTHINGS_MCP_EARLY_REPLIES=early_replies)
    responses = [json.loads(line) for line in finished.stdout.splitlines()]
    assert (finished.returncode, finished.stderr) == (0, "")
    assert responses.pop()["id"] == "last"
    assert [response["id"] for response in responses[: len(opening) // 2]] == [1] * (len(opening) // 2)
    assert [(response["error"]["code"], response["id"]) for response in responses[len(opening) // 2 :]] == [
        (code, id_) for _, code, ids in REFUSED for id_ in ids
    ]


@given(st.text() | st.recursive(st.none() | st.text() | st.floats() | st.integers(), st.lists).map(json.dumps))
def test_every_line_gets_errors_that_can_be_sent(line: str) -> None:
    for error in refusals(line, None):
        assert json.loads(error.model_dump_json(by_alias=True, exclude_unset=True))["id"] is None
