"""A proxy in front of the sandbox that breaks createModel, before the sandbox has acted or after."""

import http.client
import json
import socket
import sqlite3
import struct
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from decthings_mcp.tools.decthings import Timeouts
from support import Request, read_request, serve
from support import http_response as respond

Response = bytes
Talk = Callable[[socket.socket, Callable[[], Response]], None]
"""(connection to the client, forward the request to the sandbox) and do to the response what the fault is."""


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def after(change: Callable[[Response], bytes], *, hard: bool = False) -> Talk:
    """The sandbox acts; its response is sent changed, and the connection closed or reset."""

    def talk(connection: socket.socket, forward: Callable[[], Response]) -> None:
        connection.sendall(change(forward()))
        if hard:
            reset(connection)

    return talk


def before(sent: bytes = b"", *, hard: bool = False) -> Talk:
    """The sandbox never hears of it."""

    def talk(connection: socket.socket, _: Callable[[], Response]) -> None:
        connection.sendall(sent)
        if hard:
            reset(connection)

    return talk


def slow(pause: float, chunk: int) -> Talk:
    """The sandbox acts; its response comes after a pause and in chunks, a pause before each, so that it comes whole."""

    def talk(connection: socket.socket, forward: Callable[[], Response]) -> None:
        response = forward()
        for start in range(0, len(response), chunk):
            time.sleep(pause)
            connection.sendall(response[start : start + chunk])

    return talk


def stall(*, acted: bool, part: int = 0) -> Talk:
    """Silence until the client gives up."""

    def talk(connection: socket.socket, forward: Callable[[], Response]) -> None:
        if acted:
            connection.sendall(forward()[:part])
        connection.recv(1)

    return talk


@dataclass(frozen=True)
class CutRequest:
    """The connection breaks after so many bytes of the request's body: the sandbox never hears of it."""

    at: int
    hard: bool

    def __call__(self, connection: socket.socket, _: Callable[[], Response]) -> None:
        if self.hard:
            reset(connection)


@dataclass(frozen=True)
class SlowRequest:
    """The request is taken in chunks, with a pause before each, and then goes its way."""

    pause: float

    def __call__(self, connection: socket.socket, forward: Callable[[], Response]) -> None:
        connection.sendall(forward())


@dataclass(frozen=True)
class ChangedRequest:
    """The sandbox gets another body than was sent."""

    change: Callable[[bytes], bytes]

    def __call__(self, connection: socket.socket, forward: Callable[[], Response]) -> None:
        connection.sendall(forward())


def _body(response: Response) -> bytes:
    return response.partition(b"\r\n\r\n")[2]


_BYTES = (0, 10, 30, 60, 100, 150, 160, 170)
"""Not those of the modelId: nothing in a response repeats it, so nothing shows that it is another."""


def _flipped(response: Response, at: int) -> bytes:
    at = min(at, len(response) - 1)
    return response[:at] + bytes([response[at] ^ 1]) + response[at + 1 :]


def _cut_after_head(response: Response, kept: int) -> bytes:
    head, _, body = response.partition(b"\r\n\r\n")
    return head + b"\r\n\r\n" + body[:kept]


FAULTS: dict[str, Talk] = {
    **{f"acted, answer ends at byte {n}": after(lambda a, n=n: a[:n]) for n in (0, 1, 9, 15, 40, 100)},
    **{f"acted, reset at byte {n}": after(lambda a, n=n: a[:n], hard=True) for n in (0, 1, 20, 120)},
    **{f"acted, body ends at byte {n}": after(lambda a, n=n: _cut_after_head(a, n)) for n in (0, 1, 2, 10, 30)},
    "acted, last byte missing": after(lambda a: a[:-1]),
    "acted, last byte missing and reset": after(lambda a: a[:-1], hard=True),
    "acted, body is one bit off in its length": after(lambda a: _with_body(a, b"\xff" + _body(a)[1:])),
    "acted, body is shorter than its frame": after(lambda a: respond(_body(a)[:-5])),
    "acted, bytes after the frame": after(lambda a: respond(_body(a) + b"\xfd")),
    "acted, JSON is broken": after(lambda a: respond(_body(a).replace(b"{", b"(", 1))),
    "acted, not UTF-8": after(lambda a: respond(_body(a).replace(b"r", b"\xff", 1))),
    "acted, no result": after(lambda _: respond(b"\x02{}")),
    "acted, result is null": after(lambda _: respond(b'\x0f{"result":null}')),
    "acted, no modelId": after(lambda _: respond(b'\x0d{"result":{}}')),
    "acted, both result and error": after(lambda _: respond(b'\x29{"result":{"modelId":"x"},"error":{"code":1}}'[:43])),
    "acted, empty body": after(lambda _: respond(b"")),
    "acted, web page": after(lambda _: respond(b"<html>", "200 OK", "text/html")),
    "acted, compressed": after(
        lambda a: respond(_body(a), "200 OK", "application/octet-stream", "Content-Encoding: br")
    ),
    "acted, not HTTP": after(lambda _: b"SSH-2.0-nonsense\r\n"),
    "acted, endless head": after(lambda _: b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 200_000 + b"\r\n\r\n"),
    "acted, huge Content-Length": after(lambda a: a.replace(b"ontent-length: ", b"ontent-length: 99999999")),
    "acted, two Content-Lengths": after(lambda a: a.replace(b"\r\n\r\n", b"\r\nContent-Length: 3\r\n\r\n", 1)),
    "acted, broken chunks": after(
        lambda a: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + _body(a)
    ),
    **{
        f"acted, status {status}": after(lambda _, status=status: respond(b"", status))
        for status in ("500 Internal Server Error", "502 Bad Gateway", "503 Service Unavailable",
                       "504 Gateway Timeout", "408 Request Timeout", "599 Unheard Of")
    },
    "acted, silence": stall(acted=True),
    "acted, silence within the response": stall(acted=True, part=30),
    "acted, answer comes after a while": slow(0.3, 1 << 20),
    "acted, answer drips": slow(0.004, 3),
    "acted, request is taken slowly": SlowRequest(0.002),
    **{f"acted, one bit wrong at byte {n} of the response": after(lambda a, n=n: _flipped(a, n)) for n in _BYTES},
    **{f"acted, silence from byte {n}": stall(acted=True, part=n) for n in (5, 60, 170)},
    "not acted, request has a wrong number of blobs": ChangedRequest(lambda body: bytes([body[0] + 1]) + body[1:]),
    "not acted, request has a wrong length": ChangedRequest(lambda body: body[:1] + b"\xff" + body[2:]),
    "not acted, request has broken JSON": ChangedRequest(lambda body: body.replace(b'"name":', b'"name";', 1)),
    "not acted, request is cut and sent on": ChangedRequest(lambda body: body[:-1]),
    **{
        f"not acted, request {'reset' if hard else 'closed'} at byte {at}": CutRequest(at, hard)
        for at in (0, 50, 100_000, 2_000_000)
        for hard in (True, False)
    },
    "not acted, closed": before(),
    "not acted, reset": before(hard=True),
    "not acted, bad gateway": before(respond(b"", "502 Bad Gateway")),
    "not acted, refused by a proxy": before(respond(b"", "403 Forbidden")),
    "not acted, too large": before(respond(b"", "413 Content Too Large")),
    "not acted, too many requests": before(respond(b"", "429 Too Many Requests")),
    "not acted, wrong path": before(respond(b"", "404 Not Found")),
    "not acted, redirect": before(respond(b"", "307 Temporary Redirect", "text/plain", "Location: /elsewhere")),
    "not acted, error frame": before(respond(b"\x1c" + b"{\"error\":{\"code\":\"unknown\"}}")),
    "not acted, silence": stall(acted=False),
}  # fmt: skip


def _with_body(response: Response, body: bytes) -> bytes:
    return response.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + body


@dataclass
class FaultProxy:
    """`fault` is done to one method; everything else goes through."""

    target: str
    fault: Talk
    url: str = ""
    method: str = "createModel"
    times: int | None = None
    """How many calls are broken; None means all."""
    calls: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    acting: threading.Lock = field(default_factory=threading.Lock)
    """Held while the sandbox acts on the call that is broken: a client that has given up sees nothing half done."""

    def talk(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            stop_at = self.fault.at if isinstance(self.fault, CutRequest) and not self._is_healed() else None
            pause = self.fault.pause if isinstance(self.fault, SlowRequest) else 0
            while (request := read_request(connection, stop_at, pause=pause)) is not None:
                if not request.path.endswith(self.method) or self._is_healed():
                    with self.acting:
                        response = self._forward(request)
                    connection.sendall(response)
                    continue
                with self.lock:
                    self.calls += 1
                if isinstance(self.fault, ChangedRequest):
                    request = replace(request, body=self.fault.change(request.body))
                self.fault(connection, lambda request=request: self._act(request))
                return

    def _is_healed(self) -> bool:
        return self.times is not None and self.calls >= self.times

    def _act(self, request: Request) -> Response:
        with self.acting:
            return self._forward(request)

    def _forward(self, request: Request) -> Response:
        target = urlsplit(self.target)
        upstream = http.client.HTTPConnection(target.hostname or "", target.port, timeout=10)
        headers = {n: v for n, v in request.headers.items() if n in ("authorization", "content-type")}
        upstream.request("POST", request.path, request.body, headers)
        response = upstream.getresponse()
        body = response.read()
        upstream.close()
        lines = [f"{name}: {value}" for name, value in response.getheaders() if name.lower() != "connection"]
        return f"HTTP/1.1 {response.status} OK\r\n".encode() + "\r\n".join([*lines, "", ""]).encode() + body


class ShortForFault(Timeouts):
    """Short for the call that the fault is done to, so that its silence is over soon, and long for all others."""

    proxy: FaultProxy

    def __new__(cls, proxy: FaultProxy) -> Self:
        timeouts = super().__new__(cls)
        timeouts.proxy = proxy
        return timeouts

    def __getattribute__(self, name: str) -> Any:
        if name == "response":
            return 0.3 if self.proxy.calls == 0 else PATIENCE
        return super().__getattribute__(name)


PATIENCE = 8
"""Seconds for what takes a moment, on a machine that is busy."""


def times_for(fault: str, proxy: FaultProxy) -> dict[str, Any]:
    """Settings of a server that does not wait long for a silent proxy."""
    return {"timeouts": ShortForFault(proxy), "call_seconds": PATIENCE} if "silence" in fault else {}


@contextmanager
def fault_proxy(
    target: str, fault: Talk, method: str = "createModel", times: int | None = None
) -> Generator[FaultProxy]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        proxy = FaultProxy(target, fault, f"http://127.0.0.1:{listening.getsockname()[1]}/v0", method, times)
        with serve(listening, proxy.talk):
            yield proxy


def models_named(data: Path, name: str) -> list[str]:
    """The ids of all models of that name in the sandbox's store: the truth."""
    connection = sqlite3.connect(data / "decthings.sqlite3")
    try:
        return [
            json.loads(row)["id"]
            for (row,) in connection.execute("SELECT document FROM models WHERE name = ?", (name,))
        ]
    finally:
        connection.close()
