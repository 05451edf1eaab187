"""Server processes for the benchmarks, spoken to without a client in between."""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

OURS = [sys.executable, "-m", "decthings_mcp.server"]
_BARE = """
from mcp.server import MCPServer
server = MCPServer('bare')
@server.tool()
async def create_model(name: str, description: str, options: dict) -> str:
    return name
server.run()
"""
BARE = [sys.executable, "-c", _BARE]
"""An MCPServer with one tool and nothing else: what the SDK costs by itself."""

INITIALIZE = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "benchmark", "version": "1"}}


def _response(result: bytes) -> bytes:
    framed = b"%c%s" % (len(result), result)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n" % len(framed)
    return head + framed


CREATED = _response(b'{"result":{"modelId":"m","isNowCreating":false}}')
"""What Decthings says of a model that was created."""
NO_MODELS = _response(b'{"result":{"models":[],"total":0,"offset":0,"limit":100}}')


META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}


class Server:
    def __init__(self, running: subprocess.Popen[bytes], started: float) -> None:
        self.running, self.started = running, started
        self._id = 0

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """The response; notifications before it are passed over."""
        assert self.running.stdin is not None
        assert self.running.stdout is not None
        self._id += 1
        self._send({"jsonrpc": "2.0", "id": self._id, "method": method, "params": params})
        while True:
            answer = json.loads(self.running.stdout.readline())
            if answer.get("id") == self._id:
                return answer

    def connect(self) -> None:
        self.ask("initialize", **INITIALIZE)
        self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def _send(self, message: dict[str, Any]) -> None:
        assert self.running.stdin is not None
        self.running.stdin.write(json.dumps(message).encode() + b"\n")
        self.running.stdin.flush()

    def peak_mib(self) -> float:
        return peak_mib(self.running.pid)

    def resident_mib(self) -> float:
        return _mib(self.running.pid, "VmRSS")


@contextmanager
def server(command: list[str], *arguments: str, **environ: str) -> Generator[Server]:
    started = time.perf_counter()
    with subprocess.Popen(
        [*command, *arguments], env=environment(**environ), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as running:
        yield Server(running, started)
        assert running.stdin is not None
        running.stdin.close()


@contextmanager
def http_server(url: str) -> Generator[tuple[int, int]]:
    """Ours, for a Decthings at this URL: its port, and the id of its process."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    command = [*OURS, "--http", "--port", str(port), "--api-url", url]
    process = subprocess.Popen(command, env=environment(DECTHINGS_API_KEY="k"), stderr=subprocess.DEVNULL)
    try:
        _until_open(port)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait()


def _until_open(port: int) -> None:
    while True:
        try:
            http.client.HTTPConnection("127.0.0.1", port, timeout=60).request("GET", "/healthz")
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return


def encode(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def call_body(arguments: dict[str, Any]) -> bytes:
    """Of a call of create_model."""
    params = {"name": "create_model", "arguments": arguments, "_meta": META}
    return encode({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})


def post(port: int, body: bytes) -> tuple[int, dict[str, Any]]:
    """The status, and the structured result if it is 200."""
    headers = {
        "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "create_model",
    }  # fmt: skip
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("POST", "/mcp", body, headers)
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    if response.status != 200:
        return response.status, {}
    return 200, json.loads(text[text.index("{") :].splitlines()[0])["result"]["structuredContent"]


def environment(**variables: str) -> dict[str, str]:
    """Ours, without what could configure the server, and with `variables`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("DECTHINGS")}
    return {**inherited, **variables}


def peak_mib_of_tree(pid: int) -> float:
    """Of a process and its children, each at its own peak."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return peak_mib(pid) + sum(map(peak_mib_of_tree, map(int, children)))


def peak_mib(pid: int) -> float:
    """Of resident memory, so far (Linux)."""
    return _mib(pid, "VmHWM")


def _mib(pid: int, what: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("this system does not show a process's memory")
