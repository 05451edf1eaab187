"""Requests that were read before stdin ends get a response before the process does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import support
from stdio_support import (
    INITIALIZED,
    create_call,
    handshake,
    keyed_process,
    notification,
    receive,
    request,
    send,
)
from support import pipe

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("early_replies", ["0", "1"])
def test_a_call_in_progress_when_stdin_ends_gets_its_result(early_replies: str, tmp_path: Path) -> None:
    reply = support.HeldReply(support.created("m-7"))
    with (
        support.upstream(reply) as up,
        keyed_process(up, tmp_path, DECTHINGS_MCP_EARLY_REPLIES=early_replies) as running,
    ):
        send(running, handshake(), INITIALIZED)
        print(create_call(2), end="", file=running.stdin)  # a last line without its end
        pipe(running.stdin).close()
        assert reply.started.wait(30)
        reply.released.set()
        assert receive(running)["id"] == 1
        assert receive(running)["result"]["structuredContent"]["result"]["modelId"] == "m-7"
        assert (running.wait(30), pipe(running.stderr).read()) == (0, "")


def test_all_requests_from_a_file_get_responses(tmp_path: Path) -> None:
    lines = [handshake(), INITIALIZED, *(request(n, "tools/call", {"name": "find_models"}) for n in range(2, 12))]
    finished = support.run_server("--sandbox", "--sandbox-data", str(tmp_path), cwd=tmp_path, given="\n".join(lines))
    responses = [json.loads(line) for line in finished.stdout.splitlines()]
    assert sorted(response["id"] for response in responses if "result" in response) == [*range(1, 12)]
    assert (finished.returncode, finished.stderr) == (0, "")


def test_a_question_is_declined_when_stdin_ends(tmp_path: Path) -> None:
    deletion = {"name": "update_model", "arguments": {"modelId": "m", "publicAccess": True}}
    model = {"id": "m", "name": "n", "publicAccess": False, "access": "readwrite", "owner": {"type": "user"}}
    page = support.frame({"result": {"models": [model], "total": 1, "offset": 0, "limit": 1}})
    with support.upstream(page) as up, keyed_process(up, tmp_path) as running:
        send(running, handshake(capabilities={"elicitation": {}}), INITIALIZED)
        assert receive(running)["id"] == 1
        send(running, request(2, "tools/call", deletion))
        assert receive(running)["method"] == "elicitation/create"
        pipe(running.stdin).close()
        assert receive(running)["result"]["structuredContent"]["error"]["code"] == "declined"
        assert running.wait(30) == 0
    assert {request.path.rpartition("/")[2] for request in up.requests} == {"getModels"}


def test_a_cancelled_request_does_not_hold_the_process(tmp_path: Path) -> None:
    with support.upstream(support.stay_silent) as up, keyed_process(up, tmp_path) as running:
        cancel = notification("notifications/cancelled", params={"requestId": 2})
        send(running, handshake(), INITIALIZED, create_call(2), cancel)
        pipe(running.stdin).close()
        assert running.wait(30) == 0
        assert [json.loads(line)["id"] for line in pipe(running.stdout)] == [1]
