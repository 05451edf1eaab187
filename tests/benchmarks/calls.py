"""create_model of type code against a local upstream, over stdio and HTTP, next to a bare MCPServer with its POST."""

import asyncio
import json
import socket
import statistics
import sys
import time
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager
from typing import Any, Protocol

from processes import CREATED, INITIALIZE, META, OURS, environment

CONCURRENCY = (1, 10, 100)
CALLS = {1: 300, 10: 600, 100: 1_000}

ARGUMENTS = {"name": "n", "description": "d", "options": {"type": "code", "language": "go"}}
_FRAME = json.dumps(ARGUMENTS).encode()
POSTING = f"""
import sys
import httpx
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from contextlib import asynccontextmanager

@asynccontextmanager
async def lifespan(_):
    async with httpx.AsyncClient() as http:
        yield http

server = MCPServer('bare', lifespan=lifespan, log_level='WARNING')

@server.tool()
async def create_model(name: str, description: str, options: dict, ctx: Context) -> dict:
    http = ctx.request_context.lifespan_context
    answer = await http.post(sys.argv[1] + "/Model/createModel", content={_FRAME!r})
    return {{"modelId": str(len(answer.content))}}

server.run(**({{"transport": "streamable-http", "port": int(sys.argv[2])}} if len(sys.argv) > 2 else {{}}))
"""
"""A bare MCPServer that makes the same request to Decthings as ours, and checks nothing."""


class Call(Protocol):
    def __call__(self, number: int, arguments: dict[str, Any] = ..., /) -> Awaitable[None]: ...


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Decthings, as fast as can be."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            await reader.readexactly(length)
            writer.write(CREATED)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


@asynccontextmanager
async def over_stdio(command: list[str]) -> AsyncGenerator[tuple[Call, int]]:
    """And the server's process."""
    process = await asyncio.create_subprocess_exec(
        *command, env=environment(DECTHINGS_API_KEY="k"), limit=1 << 24,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout, waiting = process.stdin, process.stdout, dict[int, asyncio.Future[None]]()

    async def read() -> None:
        while line := await stdout.readline():
            message = json.loads(line)
            if (future := waiting.pop(message.get("id"), None)) is not None:
                assert not message["result"].get("isError")
                future.set_result(None)

    async def ask(number: int, method: str, params: dict[str, Any]) -> None:
        waiting[number] = asyncio.get_running_loop().create_future()
        message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        stdin.write(json.dumps(message).encode() + b"\n")
        await waiting[number]

    reading = asyncio.create_task(read())
    await ask(-1, "initialize", INITIALIZE)
    stdin.write(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')

    async def call(number: int, arguments: dict[str, Any] = ARGUMENTS, /) -> None:
        await ask(number, "tools/call", {"name": "create_model", "arguments": arguments})

    yield call, process.pid
    stdin.close()
    await process.wait()
    await reading


@asynccontextmanager
async def over_http(command: list[str], port: int) -> AsyncGenerator[tuple[Call, int]]:
    """And the server's process."""
    process = await asyncio.create_subprocess_exec(
        *command, env=environment(DECTHINGS_API_KEY="k"),
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    await _listening(port)
    free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def call(number: int, arguments: dict[str, Any] = ARGUMENTS, /) -> None:
        while free and free[-1][0].at_eof():  # it was idle for too long
            free.pop()[1].close()
        reader, writer = free.pop() if free else await asyncio.open_connection("127.0.0.1", port)
        params = {"name": "create_model", "arguments": arguments, "_meta": META}
        body = json.dumps({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}).encode()
        writer.write(
            b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
            b"Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\n"
            b"Mcp-Method: tools/call\r\nMcp-Name: create_model\r\n\r\n" % (port, len(body)) + body
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        assert b'"isError":true' not in await _body(head.lower(), reader)
        free.append((reader, writer))

    yield call, process.pid
    for _, writer in free:
        writer.close()
    process.terminate()
    await process.wait()


async def _body(head: bytes, reader: asyncio.StreamReader) -> bytes:
    """The response to a long call is a stream of events."""
    if b"text/event-stream" in head:
        body = await reader.readuntil(b"\r\n0\r\n\r\n")
        assert b"event: message" in body
        return body
    return await reader.readexactly(int(head.partition(b"content-length:")[2].split(b"\r\n")[0]))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


async def _listening(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


async def milliseconds(call: Call, concurrency: int, first: int) -> list[float]:
    """Of each call."""
    numbers, times = iter(range(first, first + CALLS[concurrency])), list[float]()

    async def work() -> None:
        for number in numbers:
            started_at = time.perf_counter()
            await call(number)
            times.append((time.perf_counter() - started_at) * 1000)

    await asyncio.gather(*(work() for _ in range(concurrency)))
    return times


async def measure(rounds: int) -> dict[tuple[str, str, int], list[float]]:
    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v0"
    times: dict[tuple[str, str, int], list[float]] = {}
    for _ in range(rounds):
        for transport in ("stdio", "HTTP"):
            for name in ("decthings-mcp", "bare MCPServer"):
                async with _server(transport, name, url) as (call, _):
                    await asyncio.gather(*(call(number) for number in range(100_000, 100_100)))
                    for place, concurrency in enumerate(CONCURRENCY):
                        measured = await milliseconds(call, concurrency, place * 10_000)
                        times.setdefault((transport, name, concurrency), []).extend(measured)
    listening.close()
    return times


def _server(transport: str, name: str, url: str) -> Any:
    ours = [*OURS, "--api-url", url]
    if transport == "stdio":
        return over_stdio(ours if name == "decthings-mcp" else [sys.executable, "-c", POSTING, url])
    port = free_port()
    if name == "decthings-mcp":
        return over_http([*ours, "--http", "--port", str(port), "--calls-per-second", "100000"], port)
    return over_http([sys.executable, "-c", POSTING, url, str(port)], port)


def rows(rounds: int) -> list[dict[str, Any]]:
    times = asyncio.run(measure(rounds))
    return [
        {
            "what": f"call over {transport}, {concurrency} at a time",
            "ours": statistics.median(times[transport, "decthings-mcp", concurrency]),
            "ours p99": _p99(times[transport, "decthings-mcp", concurrency]),
            "bare": statistics.median(times[transport, "bare MCPServer", concurrency]),
            "bare p99": _p99(times[transport, "bare MCPServer", concurrency]),
            "ours rate": _rate(times[transport, "decthings-mcp", concurrency], concurrency),
            "bare rate": _rate(times[transport, "bare MCPServer", concurrency], concurrency),
        }
        for transport in ("stdio", "HTTP")
        for concurrency in CONCURRENCY
    ]


def _rate(times: list[float], concurrency: int) -> float:
    """Calls a second: each of so many at a time took its time."""
    return 1000 * concurrency / statistics.mean(times)


def _p99(times: list[float]) -> float:
    return sorted(times)[int(len(times) * 0.99)]
