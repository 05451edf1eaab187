"""Real parts for the tests: a loopback upstream that replies as a test wants, the sandbox on a port, processes."""

import json
import os
import select
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, AnyStr

from decthings_mcp.server.api_key import Secret
from decthings_mcp.server.app import create_server
from decthings_mcp.server.sandbox.seed import MODEL_ID, SNAPSHOT_ID
from decthings_mcp.server.sandbox.serving import listen, sandbox_server
from decthings_mcp.server.settings import Settings
from decthings_mcp.tools.decthings import ClientPool, DecthingsClient
from decthings_mcp.tools.decthings.varint import decode_varint
from decthings_mcp.tools.decthings.wire import encode_response
from mcp import Client, StdioServerParameters
from mcp_types import ElicitRequestParams, ElicitResult, TextContent
from pydantic import SecretStr

KEY = "test-key-4f1d"
CODE = {"type": "code", "language": "go"}
CREATE: dict[str, Any] = {"name": "n", "description": "d", "options": CODE}
EXAMPLE_SNAPSHOT = {"type": "basedOnModelSnapshot", "modelId": MODEL_ID, "snapshotId": SNAPSHOT_ID}
"""The sandbox's own."""
CREATE_STATE = {"method": "create", "name": "s", "params": [], "launcherSpec": {"cpus": 1, "memoryMebibytes": 512}}
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""`verify` of HTTP clients of loopback servers: loading the system's certificates takes longer than most calls."""

NO_KEPT_KEYS = {"XDG_CONFIG_HOME": "/none", "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    body: bytes


Reply = bytes | Callable[[socket.socket, Request], bytes | None]
"""What to send, or what decides it by the request. Where that is nothing, the connection ends."""


@dataclass
class Upstream:
    """In place of Decthings: it reads whole requests and responds to each with `reply`."""

    reply: Reply = b""
    requests: list[Request] = field(default_factory=list[Request])
    connections: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    url: str = ""
    tls: ssl.SSLContext | None = None
    stop_at: int | None = None
    """Read only so many bytes of the body of a createModel."""
    slowly: tuple[int, float] = (65536, 0)
    """Read so many bytes of a body at a time, after a pause of so many seconds."""

    def last_call(self) -> tuple[dict[str, Any], list[bytes]]:
        """The parameters and the blobs of the last request."""
        return decode_request(self.requests[-1].body)

    def _secured(self, connection: socket.socket) -> socket.socket:
        return self.tls.wrap_socket(connection, server_side=True) if self.tls else connection

    def talk(self, connection: socket.socket) -> None:
        with self.lock:
            self.connections += 1
        with suppress(OSError), self._secured(connection) as connection:
            while (request := read_request(connection, self.stop_at, *self.slowly)) is not None:
                self.requests.append(request)
                reply = self.reply(connection, request) if callable(self.reply) else self.reply
                connection.sendall(reply or b"")
                if not reply or b"connection: close" in reply.lower():
                    return


def stay_silent(connection: socket.socket, _: Request) -> None:
    """Until the other side hangs up, or for a while. What it sends meanwhile is not read."""
    watched = select.poll()
    watched.register(connection, select.POLLRDHUP)
    watched.poll(30_000)


def read_request(
    connection: socket.socket, stop_at: int | None = None, chunk: int = 65536, pause: float = 0
) -> Request | None:
    """
    Args:
        stop_at: read only so many bytes of the body of a createModel.
        chunk: so many bytes of the body at a time.
        pause: seconds before each of them.
    """
    data = b""
    while b"\r\n\r\n" not in data:
        if not (more := connection.recv(4096)):
            return None
        data += more
    head, _, start_of_body = data.partition(b"\r\n\r\n")
    body = bytearray(start_of_body)
    start, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = int(headers.get("content-length", "0"))
    if stop_at is not None and b"/createModel " in head:
        length = min(length, stop_at)
    while len(body) < length:
        time.sleep(pause)
        if not (more := connection.recv(chunk)):
            return None
        body += more
    return Request(start.split(" ")[1], headers, bytes(body))


def free_port() -> int:
    """Where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


def unreachable() -> Upstream:
    return Upstream(url=f"http://127.0.0.1:{free_port()}/v0")


def pipe(stream: IO[AnyStr] | None) -> IO[AnyStr]:
    """One that a process was started with."""
    assert stream is not None
    return stream


class HeldReply:
    """A reply that waits until it is let go: the call is in progress meanwhile."""

    def __init__(self, reply: bytes) -> None:
        self._reply = reply
        self.started, self.released = threading.Event(), threading.Event()

    def __call__(self, _: socket.socket, __: Request) -> bytes:
        self.started.set()
        assert self.released.wait(30)
        return self._reply


@contextmanager
def serve(listening: socket.socket, talk: Callable[[socket.socket], None]) -> Generator[None]:
    """Until the block ends, with a thread for each connection."""

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                threading.Thread(target=talk, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield
    with suppress(OSError):
        listening.shutdown(socket.SHUT_RDWR)


@contextmanager
def upstream(
    reply: Reply = b"",
    tls: ssl.SSLContext | None = None,
    stop_at: int | None = None,
    slowly: tuple[int, float] | None = None,
) -> Generator[Upstream]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        if slowly is not None:  # a line that holds little
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 128 << 10)
        scheme = "https" if tls else "http"
        url = f"{scheme}://127.0.0.1:{listening.getsockname()[1]}/v0"
        server = Upstream(reply, tls=tls, stop_at=stop_at, slowly=slowly or (65536, 0), url=url)
        with serve(listening, server.talk):
            yield server


def http_response(
    body: bytes, status: str = "200 OK", content_type: str = "application/octet-stream", *headers: str
) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", f"Content-Type: {content_type}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def frame(reply: Mapping[str, Any]) -> bytes:
    return http_response(encode_response(reply))


def created(model_id: str = "m-1") -> bytes:
    return frame({"result": {"modelId": model_id, "isNowCreating": False}})


def decthings(client_pool: ClientPool, url: str, key: str | None = KEY) -> DecthingsClient:
    return DecthingsClient(client_pool, url, SecretStr(key) if key else None)


@contextmanager
def sandbox(data: Path) -> Generator[str]:
    """Its URL."""
    with listen(0) as listening:
        server = sandbox_server(data)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v0"
        server.should_exit = True
        thread.join(10)


def environment(**variables: str) -> dict[str, str]:
    """Ours, without what could configure the server and without kept keys, and with `variables`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("DECTHINGS")}
    return {**inherited, "PYTHONWARNINGS": "error", **NO_KEPT_KEYS, **variables}


def server_command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "decthings_mcp.server", *arguments]


def run_server(*arguments: str, cwd: Path, given: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """Until it ends by itself; `given` is its stdin."""
    return subprocess.run(
        server_command(*arguments), cwd=cwd, env=environment(**variables), input=given, text=True,
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip


def stdio(*arguments: str, cwd: Path | None = None, **variables: str) -> StdioServerParameters:
    command, *rest = server_command(*arguments)
    return StdioServerParameters(command=command, args=rest, env=environment(**variables), cwd=cwd)


def load_jsonl(name: str) -> list[dict[str, Any]]:
    path = Path(__file__).parent / "data" / name
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def decode_request(body: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """The parameters and the blobs of a request frame."""
    count, offset = body[0], 1
    sizes: list[int] = []
    for _ in range(1 + count):
        size, offset = decode_varint(body, offset)
        sizes.append(size)
    parts: list[bytes] = []
    for size in sizes:
        parts.append(body[offset : offset + size])
        offset += size
    assert offset == len(body)
    return json.loads(parts[0]), parts[1:]


class User:
    """Replies to questions with `answer`, and keeps them."""

    def __init__(self, answer: ElicitResult | None = None) -> None:
        self.answer = answer
        self.questions: list[str] = []

    async def __call__(self, context: Any, params: ElicitRequestParams) -> ElicitResult:
        self.questions.append(params.message)
        assert self.answer is not None
        return self.answer


YES = ElicitResult(action="accept", content={"confirm": True})


@dataclass
class Chat:
    """Calls tools with an MCP client."""

    client: Client

    async def __call__(self, tool: str, /, **arguments: Any) -> dict[str, Any]:
        """The structured result, with the text that repeats its next step."""
        result = await self.client.call_tool(tool, arguments)
        answer = result.structured_content or {}
        assert bool(result.is_error) == ("error" in answer)
        block, *media = result.content
        assert isinstance(block, TextContent)
        assert answer["nextStep"] in block.text
        return {**answer, "text": block.text, **({"media": media} if media else {})}

    async def create(self, arguments: dict[str, Any]) -> dict[str, Any]:
        return await self("create_model", **arguments)

    async def new_model(self, name: str, **options: Any) -> str:
        """The id of one that is made of code."""
        created = await self("create_model", name=name, description="d", options={**CODE, **options})
        return created["result"]["modelId"]


@asynccontextmanager
async def connect_chat(upstream: Upstream, files: Path, mode: str = "auto", **settings: Any) -> AsyncGenerator[Chat]:
    """With a server in memory, whose Decthings is `upstream`."""
    own = Settings(api_url=upstream.url, api_key=Secret(KEY), files=[files])._replace(**settings)
    server = create_server(own, load_certificates=lambda: NO_CERTIFICATES)
    async with Client(server, mode=mode) as client:
        yield Chat(client)


def schema_nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every node of a JSON Schema without references, with its path."""
    yield path, schema
    for name, node in schema.get("properties", {}).items():
        yield from schema_nodes(node, f"{path}.{name}")
    if "items" in schema:
        yield from schema_nodes(schema["items"], f"{path}[]")
