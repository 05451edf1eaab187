"""Seconds and peak memory of uploading a file to a loopback sink, next to the official client.

python tests/benchmarks/upload.py [MIB]
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from processes import OURS, peak_mib, server

_RESULT = b'{"result":{"modelId":"m","isNowCreating":false}}'
_ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n" % (len(_RESULT) + 1)
    + bytes([len(_RESULT)])
    + _RESULT
)
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


def serve_sink(listening: socket.socket) -> None:
    while True:
        connection, _ = listening.accept()
        threading.Thread(target=_swallow, args=(connection,), daemon=True).start()


def _swallow(connection: socket.socket) -> None:
    buffer = memoryview(bytearray(1 << 20))
    head = b""
    while b"\r\n\r\n" not in head:
        head += connection.recv(65536)
    head, _, body = head.partition(b"\r\n\r\n")
    (length,) = (int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
    received = len(body)
    while received < length:
        received += connection.recv_into(buffer)
    connection.sendall(_ANSWER)


def ours(url: str, path: Path) -> None:
    with server(OURS, "--files", str(path.parent), "--api-url", url, DECTHINGS_API_KEY="k") as started:
        started.connect()
        started.ask("tools/list")
        rest, begun = started.peak_mib(), time.perf_counter()
        options = {"type": "upload", "format": "tflite", "data": {"path": path.name}}
        arguments = {"name": "n", "description": "d", "options": options}
        answer = started.ask("tools/call", name="create_model", arguments=arguments, _meta={"progressToken": "p"})
        assert answer["result"]["structuredContent"]["upload"]["bytes"] == path.stat().st_size
        _report("decthings-mcp", begun, rest, started.peak_mib())


def official(url: str, path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", _OFFICIAL, url, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        running.stdout.readline()
        rest, begun = peak_mib(running.pid), time.perf_counter()
        print(file=running.stdin, flush=True)
        assert "modelId" in running.stdout.readline()
        _report("decthings-api", begun, rest, peak_mib(running.pid))
        print(file=running.stdin, flush=True)


def _report(name: str, begun: float, rest: float, peak: float) -> None:
    print(f"{name:15} {time.perf_counter() - begun:6.2f} s, peak {peak:.0f} MiB, {peak - rest:.0f} above rest")


def main() -> None:
    mib = int(sys.argv[1]) if len(sys.argv) > 1 else 1024
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve_sink, args=(listening,), daemon=True).start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/v0"
        path = Path(folder) / "model.tflite"
        with path.open("wb") as file:
            file.write(b"\x1c\0\0\0TFL3")
            file.truncate(mib << 20)
        print(f"{mib} MiB")
        for _ in range(3):
            ours(url, path)
        official(url, path)


if __name__ == "__main__":
    main()
