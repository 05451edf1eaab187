"""What became of a call that was cancelled stands in the log."""

from __future__ import annotations

import signal
import socket
import subprocess
import threading
from pathlib import Path

import pytest
import support
from fault_proxy import FAULTS, fault_proxy, models_named
from stdio_support import connect, create_call, keyed_process, notification, process, receive, request, send
from support import CREATE, pipe

pytestmark = pytest.mark.slow

CALL = create_call(2)
CANCEL = notification("notifications/cancelled", params={"requestId": 2})


def log_line(running: subprocess.Popen[str]) -> str:
    return pipe(running.stderr).readline().partition(": ")[2]


def finish(running: subprocess.Popen[str]) -> None:
    pipe(running.stdin).close()
    assert running.wait(30) == 0


@pytest.mark.parametrize("ending", ["cancelled", "EOF", "SIGTERM"])
def test_a_cancelled_call_that_was_done_is_looked_up_and_logged(ending: str, tmp_path: Path) -> None:
    with (
        support.sandbox(tmp_path / "sandbox") as sandbox,
        fault_proxy(sandbox, FAULTS["acted, silence"]) as proxy,
        process("--api-url", proxy.url, cwd=tmp_path, DECTHINGS_API_KEY="any-key-at-all") as running,
    ):
        connect(running)
        send(running, CALL)
        while not models_named(tmp_path / "sandbox", "n"):
            assert running.poll() is None
        if ending == "cancelled":
            send(running, CANCEL)
        elif ending == "EOF":
            pipe(running.stdin).close()
        else:
            running.send_signal(signal.SIGTERM)
        line = log_line(running)
        assert "create_model of 'n' was cancelled and done all the same" in line
        assert models_named(tmp_path / "sandbox", "n")[0] in line


def test_a_call_cancelled_before_it_was_sent_did_nothing(tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(b"\x1c\0\0\0TFL3" + bytes(30 << 20))
    options = {"type": "upload", "format": "tflite", "data": {"path": "m.tflite"}}
    begun = threading.Event()

    def take_a_little(connection: socket.socket, request: support.Request) -> None:
        begun.set()
        support.stay_silent(connection, request)

    sharing = ("--files", str(tmp_path))
    with support.upstream(take_a_little, stop_at=1000) as up, keyed_process(up, tmp_path, *sharing) as running:
        connect(running)
        send(running, create_call(2, {**CREATE, "options": options}))
        assert begun.wait(30)
        send(running, CANCEL, request(3, "ping"))
        assert receive(running)["id"] in (2, 3)
        assert "before Decthings took it: nothing was done" in log_line(running)
        finish(running)


def test_a_call_cancelled_before_its_retry_did_nothing(tmp_path: Path) -> None:
    refusal = support.http_response(b"", "429 Too Many Requests", "text/plain", "Retry-After: 5")
    with support.upstream(refusal) as up, keyed_process(up, tmp_path) as running:
        connect(running)
        send(running, create_call(2, _meta={"progressToken": "p"}))
        assert "trying again" in receive(running)["params"]["message"]
        send(running, CANCEL)
        assert "before Decthings took it: nothing was done" in log_line(running)
        finish(running)
        assert len(up.requests) == 1


def test_a_cancelled_call_without_a_lookup_is_logged_as_open(tmp_path: Path) -> None:
    with support.upstream(support.stay_silent) as silent, keyed_process(silent, tmp_path) as running:
        connect(running)
        send(running, CALL)
        while not silent.requests:
            assert running.poll() is None
        running.send_signal(signal.SIGTERM)
        assert "after all of it was sent: it may have been done" in log_line(running)
        assert running.wait(10) == 143
