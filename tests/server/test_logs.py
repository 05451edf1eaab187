"""The log on stderr never holds up or ends the server, whatever becomes of its reader."""

import fcntl
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import support
from http_support import post

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="sets the size of a pipe")]

_REQUESTS = 100
"""More than a pipe of the least size has room for."""


@contextmanager
def server_process(*shell: str, cwd: Path, port: int = 0) -> Generator[subprocess.Popen[str]]:
    command = support.server_command("--http", "--port", str(port), "--calls-per-second", "1000", "--sandbox")
    with subprocess.Popen(
        [*shell, *command, "--sandbox-data", str(cwd / "sandbox")],
        cwd=cwd, env=support.environment(), text=True, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def wait_for_port(port: int, process: subprocess.Popen[str]) -> None:
    while process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return


def url_in_log(process: subprocess.Popen[str]) -> str:
    stderr = support.pipe(process.stderr)
    return next(found[1] for line in stderr if (found := re.search(r"Serving on (\S+)", line)))


def serves_and_ends(url: str, process: subprocess.Popen[str]) -> None:
    assert [post(url, "tools/list").status_code for _ in range(_REQUESTS)] == [200] * _REQUESTS
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


def test_a_reader_of_stderr_that_goes_away_does_not_matter(tmp_path: Path) -> None:
    with server_process(cwd=tmp_path) as process:
        url = url_in_log(process)
        support.pipe(process.stderr).close()
        serves_and_ends(url, process)


def test_a_reader_of_stderr_that_stops_reading_does_not_matter(tmp_path: Path) -> None:
    with server_process(cwd=tmp_path) as process:
        url = url_in_log(process)
        fcntl.fcntl(support.pipe(process.stderr), fcntl.F_SETPIPE_SZ, 4096)
        serves_and_ends(url, process)


def test_a_closed_stderr_does_not_matter(tmp_path: Path) -> None:
    port = support.free_port()
    with server_process("sh", "-c", 'exec "$@" 2>&-', "sh", cwd=tmp_path, port=port) as process:
        wait_for_port(port, process)
        serves_and_ends(f"http://127.0.0.1:{port}/mcp", process)
