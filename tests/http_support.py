"""Servers over HTTP for the tests: as processes, and as one side of a raw conversation."""

import json
import re
import socket
import subprocess
import threading
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import httpx2
import support
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

TOKENS = {"anna": "token-of-anna-0123456789", "bert": "token-of-bert-0123456789"}
ACCEPT = {"Accept": "application/json, text/event-stream"}
MODERN: dict[str, Any] = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}},
}


@dataclass
class HttpServer:
    url: str
    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list[str])
    """Its stderr."""

    @property
    def root(self) -> str:
        return self.url.removesuffix("/mcp")

    @property
    def port(self) -> int:
        return int(self.root.rpartition(":")[2])

    def access_log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines if line.startswith("{")]

    def logged(self, member: str, value: str) -> dict[str, Any]:
        """The line that has a field which begins with the value. It is written after the response."""
        while True:
            assert self.process.poll() is None
            for line in self.access_log():
                if str(line.get(member, "")).startswith(value):
                    return line

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)


@contextmanager
def http_server(*arguments: str, cwd: Path, **variables: str) -> Generator[HttpServer]:
    """On a free port, which its log names."""
    with subprocess.Popen(
        support.server_command("--http", "--port", "0", *arguments), cwd=cwd, env=support.environment(**variables),
        text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        server = HttpServer("", process)
        for line in support.pipe(process.stderr):
            server.lines.append(line)
            if found := re.search(r"Serving on (\S+)", line):
                server.url = found[1]
                break
        reader = threading.Thread(target=lambda: server.lines.extend(support.pipe(process.stderr)))
        reader.start()
        try:
            assert server.url, "".join(server.lines)
            yield server
        finally:
            process.terminate()
            process.wait(30)
            reader.join()


@contextmanager
def sandbox_server(*arguments: str, cwd: Path, **variables: str) -> Generator[HttpServer]:
    with http_server("--sandbox", "--sandbox-data", str(cwd / "sandbox"), *arguments, cwd=cwd, **variables) as server:
        yield server


@contextmanager
def keyed_server(upstream: support.Upstream, cwd: Path, *arguments: str) -> Generator[HttpServer]:
    """With a key of its own for the upstream."""
    with http_server("--api-url", upstream.url, *arguments, cwd=cwd, DECTHINGS_API_KEY=support.KEY) as server:
        yield server


@asynccontextmanager
async def connected(url: str, headers: Mapping[str, str] | None = None, **options: Any) -> AsyncGenerator[Client]:
    """A client that sends the headers with every request."""
    async with (
        httpx2.AsyncClient(headers=dict(headers or {}), timeout=60, verify=support.NO_CERTIFICATES) as http,
        Client(streamable_http_client(url, http_client=http), **options) as client,
    ):
        yield client


@contextmanager
def echoing_upstream() -> Generator[support.Upstream]:
    """A Decthings that refuses, with the key in every place that a response has, and sets a cookie with it."""

    def echo(__: socket.socket, request: support.Request) -> bytes:
        key = request.headers["authorization"].removeprefix("Bearer ")
        params, _ = support.decode_request(request.body)
        marked = {"mark": params["description"], "echo": [key, {key: key}]}
        answer = support.frame({"error": {"code": "quota_exceeded", **marked}})
        return answer.replace(b"\r\n\r\n", f"\r\nSet-Cookie: key={key}\r\n\r\n".encode(), 1)

    with support.upstream(echo) as up:
        yield up


def bearer(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKENS[name]}"}


def token_file(folder: Path) -> Path:
    path = folder / "tokens"
    path.write_text("# who may call\n" + "".join(f"{name} {token}\n" for name, token in TOKENS.items()))
    return path


def post(url: str, method: str, headers: Mapping[str, str] | None = None, **params: Any) -> httpx.Response:
    """One request without a handshake."""
    named = {"Mcp-Name": str(params["name"])} if "name" in params else {}
    return httpx.post(
        url,
        json={"jsonrpc": "2.0", "id": 7, "method": method, "params": {"_meta": MODERN, **params}},
        headers={**ACCEPT, "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method, **named, **(headers or {})},
        timeout=60,
        verify=support.NO_CERTIFICATES,
    )


def call(url: str, tool: str, arguments: dict[str, Any], headers: Mapping[str, str] | None = None, **more: Any) -> Any:
    """The result of a tool call, as JSON."""
    response = post(url, "tools/call", headers, name=tool, arguments=arguments, **more)
    if response.headers["content-type"].startswith("text/event-stream"):
        data = [line[5:] for line in response.text.splitlines() if line.startswith("data:")]
        return json.loads(data[-1])
    return response.json()
