"""Upload links for the tests: asked for as an assistant does, and used as the page does."""

import json
import os
import socket
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx
import support
from http_support import HttpServer, call
from onnx import TensorProto, helper


def by_link(name: str, **more: Any) -> dict[str, Any]:
    """The arguments of create_model."""
    options = {"type": "upload", "format": "onnx", "data": {"upload": True}}
    return {"name": name, "description": "A test.", "options": options, **more}


def ask(url: str, name: str, headers: Mapping[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """The structured result of the call, whether the file is there or not."""
    return call(url, "create_model", by_link(name, **more), headers)["result"]["structuredContent"]


def link_of(url: str, name: str, headers: Mapping[str, str] | None = None, **more: Any) -> str:
    answer = ask(url, name, headers, **more)
    assert answer["outcome"] == "waiting_for_upload", answer
    return answer["upload"]["link"]


def sealed(link: str) -> dict[str, str]:
    """The header that the page sends."""
    return {"Decthings-Upload-Link": link.partition("#")[2]}


class Served(Protocol):
    @property
    def root(self) -> str: ...


def describe(server: Served, link: str) -> httpx.Response:
    return _post(f"{server.root}/upload/describe", link)


def upload(server: Served, link: str, content: Any) -> httpx.Response:
    return _post(f"{server.root}/upload", link, content)


def outcome(response: httpx.Response) -> str:
    answer = response.json()
    return answer.get("error", answer)["outcome"]


def _post(url: str, link: str, content: Any = None) -> httpx.Response:
    return httpx.post(url, headers=sealed(link), content=content, timeout=60, verify=support.NO_CERTIFICATES)


def half_sent(server: HttpServer, link: str, content: bytes) -> socket.socket:
    """A connection on which an upload has got half way."""
    connection = socket.create_connection(("127.0.0.1", server.port), 60)
    ((name, value),) = sealed(link).items()
    head = f"POST /upload HTTP/1.1\r\nHost: 127.0.0.1\r\n{name}: {value}\r\nContent-Length: {len(content)}\r\n\r\n"
    connection.sendall(head.encode() + content[: len(content) // 2])
    return connection


def finish(connection: socket.socket, content: bytes) -> dict[str, Any]:
    """The answer, once the other half is sent."""
    with connection:
        connection.sendall(content[len(content) // 2 :])
        received = b""
        while not received.endswith(b"}"):
            received += connection.recv(65536)
    return json.loads(received.partition(b"\r\n\r\n")[2])


def host_of(link: str) -> str:
    parts = urlsplit(link)
    return f"{parts.scheme}://{parts.netloc}"


def onnx_model(mebibytes: int) -> bytes:
    """A model with weights of this size."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    weights = helper.make_tensor("w", TensorProto.FLOAT, [mebibytes << 18], os.urandom(mebibytes << 20), raw=True)
    node = helper.make_node("Identity", ["x"], ["y"])
    return helper.make_model(helper.make_graph([node], "g", values[:1], values[1:], [weights])).SerializeToString()


@dataclass
class Line:
    """A connection's way to the server, which breaks, or goes no further, after so many bytes of one connection."""

    port: int
    own_port: int = 0
    breaks_after: int | None = None
    stops_after: int | None = None

    def through(self, link: str) -> str:
        return link.replace(f":{self.port}/", f":{self.own_port}/")

    def talk(self, browser: socket.socket) -> None:
        with suppress(OSError), browser, socket.create_connection(("127.0.0.1", self.port)) as server:
            threading.Thread(target=_copy, args=(server, browser), daemon=True).start()
            with suppress(OSError):
                self._pass_on(browser, server)
            server.shutdown(socket.SHUT_RDWR)  # the thread still reads from it, so closing is not enough

    def _pass_on(self, browser: socket.socket, server: socket.socket) -> None:
        sent = 0
        while data := browser.recv(65536):
            sent += len(data)
            if self.breaks_after is not None and sent > self.breaks_after:
                return  # browsers try again once by themselves
            if self.stops_after is not None and sent > self.stops_after:
                support.stay_silent(browser, support.Request("", {}, b""))
                return
            server.sendall(data)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@contextmanager
def line_to(server: HttpServer) -> Generator[Line]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 128 << 10)  # or it would hold most of a small file
        line = Line(server.port, listening.getsockname()[1])
        with support.serve(listening, line.talk):
            yield line
