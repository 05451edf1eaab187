"""Uploading a file to a loopback sink: seconds and memory, next to sendfile, curl and the official client.

By its path, and by a link: then a browser sends it to our server over HTTP, which passes it on.
"""

import http.client
import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from processes import CREATED, NO_MODELS, OURS, call_body, http_server, peak_mib, post, server

SIZES = (64, 256, 1024)

_SENDFILE = """
import os, socket, sys
print("at rest", flush=True)
input()
host, port = sys.argv[1].split("/")[2].split(":")
with socket.create_connection((host, int(port))) as connection, open(sys.argv[2], "rb") as file:
    size = os.fstat(file.fileno()).st_size
    connection.sendall(b"POST / HTTP/1.1\\r\\nContent-Length: %d\\r\\n\\r\\n" % size)
    offset = 0
    while offset < size:
        offset += os.sendfile(connection.fileno(), file.fileno(), offset, size - offset)
    print(connection.recv(1000), flush=True)
input()
"""
"""The limit: nothing passes through the program."""
_SHA256 = """
import hashlib, sys
print("at rest", flush=True)
input()
with open(sys.argv[2], "rb") as file:
    print("modelId", hashlib.file_digest(file, "sha256").hexdigest(), flush=True)
input()
"""
"""Reading and hashing, and nothing is sent."""
_OFFICIAL = """
import sys
from decthings_api.client_sync import DecthingsClientSync
client = DecthingsClientSync("k", http_server_address=sys.argv[1])
print("at rest", flush=True)
input()
options = {"type": "upload", "format": "tflite", "data": open(sys.argv[2], "rb").read()}
print(client.model.create_model({"name": "n", "description": "d", "options": options}), flush=True)
input()
"""

Measured = tuple[float, float]
"""Seconds, and MiB above what the process has at rest."""


@contextmanager
def sink() -> Generator[str]:
    """The URL of a Decthings that throws away what it gets."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=_serve_sink, args=(listening,), daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v0"


def _serve_sink(listening: socket.socket) -> None:
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        threading.Thread(target=_swallow, args=(connection,), daemon=True).start()


def _swallow(connection: socket.socket) -> None:
    buffer = memoryview(bytearray(1 << 20))
    with connection:
        while head := _read_head(connection):
            head, _, body = head.partition(b"\r\n\r\n")
            if b"100-continue" in head.lower():
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
            received, length = len(body), int(lengths[0].split(b":")[1])
            while received < length:
                received += connection.recv_into(buffer)
            connection.sendall(NO_MODELS if b"/getModels" in head else CREATED)


def _read_head(connection: socket.socket) -> bytes:
    """With what has come of the body; empty at the end."""
    head = b""
    while b"\r\n\r\n" not in head:
        received = connection.recv(65536)
        if not received:
            return b""
        head += received
    return head


def ours(url: str, path: Path) -> Measured:
    with server(OURS, "--files", str(path.parent), "--api-url", url, DECTHINGS_API_KEY="k") as started:
        started.connect()
        started.ask("tools/call", name="create_model", arguments={"name": "n"})  # refused: all is loaded by then
        rest, started_at = started.peak_mib(), time.perf_counter()
        options = {"type": "upload", "format": "tflite", "data": {"path": path.name}}
        arguments = {"name": "n", "description": "d", "options": options}
        answer = started.ask("tools/call", name="create_model", arguments=arguments, _meta={"progressToken": "p"})
        assert answer["result"]["structuredContent"]["upload"]["bytes"] == path.stat().st_size
        return time.perf_counter() - started_at, started.peak_mib() - rest


def by_link(url: str, path: Path) -> Measured:
    """The memory is that of our server; the browser is this process."""
    options = {"type": "upload", "format": "tflite", "data": {"upload": True}}
    with http_server(url) as (port, pid):
        _, answer = post(port, call_body({"name": "n", "description": "d", "options": options}))
        link = answer["upload"]["link"].partition("#")[2]
        rest, started_at = peak_mib(pid), time.perf_counter()
        with socket.create_connection(("127.0.0.1", port)) as browser, path.open("rb") as file:
            head = f"POST /upload HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nDecthings-Upload-Link: {link}\r\n"
            browser.sendall(f"{head}Content-Length: {path.stat().st_size}\r\n\r\n".encode())
            browser.sendfile(file)
            response = http.client.HTTPResponse(browser)
            response.begin()
            outcome = json.load(response)
        assert outcome.get("outcome") == "created", outcome
        return time.perf_counter() - started_at, peak_mib(pid) - rest


def script(text: str, url: str, path: Path) -> Measured:
    command = [sys.executable, "-W", "ignore", "-c", text, url, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        running.stdout.readline()
        rest, started_at = peak_mib(running.pid), time.perf_counter()
        print(file=running.stdin, flush=True)
        assert "modelId" in running.stdout.readline()
        measured = time.perf_counter() - started_at, peak_mib(running.pid) - rest
        print(file=running.stdin, flush=True)
        return measured


def curl(url: str, path: Path) -> Measured:
    """The time of the transfer alone, as curl measures it; the program's start is not in it."""
    done = subprocess.run(
        ["curl", "-s", "-o", "/dev/null", "-w", "%{time_total}", "-X", "POST", "-T", str(path), url],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return float(done.stdout), 0.0


def rows(rounds: int) -> list[dict[str, Any]]:
    ways: dict[str, Callable[[str, Path], Measured]] = {
        "ours": ours,
        "by link": by_link,
        "limit": lambda url, path: script(_SENDFILE, url, path),
        "sha256": lambda url, path: script(_SHA256, url, path),
        "official": lambda url, path: script(_OFFICIAL, url, path),
        **({"curl": curl} if shutil.which("curl") else {}),
    }
    found: list[dict[str, Any]] = []
    for mib in SIZES:
        with tempfile.TemporaryDirectory() as folder, sink() as url:
            path = Path(folder) / "model.tflite"
            path.write_bytes(b"\x1c\0\0\0TFL3" + bytes((mib << 20) - 8))
            times: dict[str, list[Measured]] = {name: [] for name in ways}
            for _ in range(rounds):
                for name, way in ways.items():
                    times[name].append(way(url, path))
        row: dict[str, Any] = {"what": f"upload of {mib} MiB"}
        for name, measured in times.items():
            row[name] = statistics.median(seconds for seconds, _ in measured)
            row[f"{name} MiB"] = statistics.median(peak for _, peak in measured)
        found.append(row)
    return found
