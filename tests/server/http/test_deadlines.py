"""Clients that take their time, and connections that carry nothing."""

import select
import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from decthings_mcp.server.http import deadlines as connections
from decthings_mcp.server.http import gate as requests
from decthings_mcp.server.http import serve as http_module
from decthings_mcp.server.http.settings import HttpSettings
from decthings_mcp.server.settings import Settings

HEAD = b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"

SERVERS: list[uvicorn.Server] = []
"""Those that `served` has started."""


@contextmanager
def served(data: Path, buffer: int | None = None) -> Generator[socket.socket]:
    """A connection to a server in this process, whose limits a test can set.

    Args:
        buffer: how many bytes the system takes from the server that the client has not read.
    """
    settings = Settings(sandbox=True, sandbox_data=data, remote_callers=True)
    listening = http_module.listen("127.0.0.1", 0)
    if buffer is not None:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
    server = http_module.Server(http_module.uvicorn_config(settings, HttpSettings()))
    SERVERS.append(server)
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        with socket.create_connection(listening.getsockname(), 10) as connection:
            yield connection
    finally:
        server.should_exit = True
        thread.join(20)


def test_an_incomplete_head_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.1)
    for sent in (b"", b"POST /mcp HTT", HEAD):
        with served(tmp_path) as connection:
            connection.sendall(sent)
            assert connection.recv(1000) == b""


def test_a_second_head_is_not_waited_for_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.1)
    with served(tmp_path) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b""
        while not answer.endswith(b'{"status":"ok"}'):
            answer += connection.recv(1000)
        connection.sendall(HEAD)
        assert connection.recv(1000) == b""


def test_an_incomplete_body_gets_a_request_timeout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "BODY_SECONDS", 0.1)
    with served(tmp_path) as connection:
        connection.sendall(HEAD + b"Content-Length: 100\r\n\r\n{")
        assert connection.recv(1000).startswith(b"HTTP/1.1 408")


def test_the_body_of_a_refused_request_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "BODY_SECONDS", 0.1)
    with served(tmp_path) as connection:
        connection.sendall(HEAD.replace(b"/mcp ", b"/mcp?x ") + b"Content-Length: 100\r\n\r\n{")
        answer = connection.recv(4000)
        connection.sendall(b"{")
        while more := connection.recv(4000):
            answer += more
    assert answer.startswith(b"HTTP/1.1 400")


def test_a_client_that_reads_only_after_sending_everything_reads_why_it_was_refused(tmp_path: Path) -> None:
    size = 16 << 20
    with served(tmp_path) as connection:
        connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % size)
        for _ in range(16):
            connection.sendall(bytes(size >> 4))
        assert connection.recv(1000).startswith(b"HTTP/1.1 413")


def test_a_refused_request_without_end_is_not_received_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "BODY_SECONDS", 0.1)
    with served(tmp_path) as connection:
        connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % (1 << 40))
        with pytest.raises(ConnectionError):
            send_without_end(connection, bytes(1 << 20))


def test_a_client_that_does_not_read_is_disconnected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "RESPONSE_SECONDS", 0.1)
    with served(tmp_path, buffer=4096) as connection, pytest.raises(ConnectionError):
        send_without_end(connection, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 10)


def send_without_end(connection: socket.socket, data: bytes) -> None:
    while True:
        connection.sendall(data)


def test_headers_beyond_the_limit_are_refused_though_they_come_at_once(tmp_path: Path) -> None:
    with served(tmp_path) as connection:
        connection.sendall(HEAD + b"X: " + b"y" * 20_000 + b"\r\nContent-Length: 2\r\n\r\n{}")
        assert connection.recv(1000)[:12] in (b"HTTP/1.1 431", b"HTTP/1.1 400")


def test_headers_without_end_are_refused(tmp_path: Path) -> None:
    with served(tmp_path) as connection:
        connection.sendall(HEAD + b"X: " + b"y" * 20_000)
        assert connection.recv(1000).startswith(b"HTTP/1.1 400")


def test_a_request_on_a_kept_connection_during_shutdown_is_served(tmp_path: Path) -> None:
    with served(tmp_path) as connection:
        ask = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
        connection.sendall(ask)
        assert b"200 OK" in connection.recv(1000)
        SERVERS[-1].should_exit = True
        while listens(connection.getpeername()):
            time.sleep(0.01)  # without a rest, these are soon more connections than the server takes
        connection.sendall(ask)
        answer = b""
        while more := connection.recv(1000):
            answer += more
    assert b"200 OK" in answer
    assert b"connection: close" in answer.lower()


def test_a_client_that_the_system_has_taken_during_shutdown_is_served(tmp_path: Path) -> None:
    with served(tmp_path) as connection:
        ask = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        connection.sendall(ask)
        assert b"200 OK" in connection.recv(1000)
        stop_accepting(SERVERS[-1])
        with socket.create_connection(connection.getpeername(), 10) as waiting:
            waiting.sendall(ask)
            SERVERS[-1].should_exit = True
            assert b"200 OK" in waiting.recv(1000)


def stop_accepting(server: uvicorn.Server) -> None:
    """Clients that connect wait from here on."""
    done = threading.Event()
    for each in server.servers:
        for listening in each.sockets:
            each.get_loop().call_soon_threadsafe(each.get_loop().remove_reader, listening.fileno())
        each.get_loop().call_soon_threadsafe(done.set)
    assert done.wait(10)


def listens(address: tuple[str, int]) -> bool:
    try:
        with socket.create_connection(address, 1):
            return True
    except OSError:
        return False


def test_connections_beyond_the_limit_get_503(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_module, "_MAX_CONNECTIONS", 3)
    with served(tmp_path) as first:
        address = first.getpeername()
        others = [socket.create_connection(address, 10) for _ in range(4)]
        for connection in others:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"503" in b"".join(connection.recv(1000) for connection in others)
        for connection in others:
            connection.close()


def heads_before_bodies(connection: socket.socket, *headers: bytes) -> list[bytes]:
    """The status lines of responses to three requests whose bodies come only when the last head has a response."""
    address = connection.getpeername()
    body = b'{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25", '
    body += b'"capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}}'
    head = HEAD + b"".join(headers) + b"Accept: application/json, text/event-stream\r\n"
    head += b"Content-Length: %d\r\n\r\n" % len(body)
    with socket.create_connection(address, 10) as second, socket.create_connection(address, 10) as third:
        connections = [connection, second, third]
        for each in connections:
            each.sendall(head)
        refused, _, _ = select.select(connections, [], [], 10)
        for each in connections:
            if each not in refused:
                each.sendall(body)
        return [each.recv(1000).partition(b"\r\n")[0] for each in connections]


def test_sessions_are_counted_before_the_bodies_of_their_requests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "MAX_SESSIONS_OF_CALLER", 2)
    with served(tmp_path) as connection:
        statuses = heads_before_bodies(connection)
    assert sorted(statuses) == [b"HTTP/1.1 200 OK", b"HTTP/1.1 200 OK", b"HTTP/1.1 429 Too Many Requests"]


def test_incomplete_requests_of_a_caller_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "MAX_BODIES_OF_CALLER", 2)
    with served(tmp_path) as connection:
        statuses = heads_before_bodies(connection, b"MCP-Protocol-Version: 2026-07-28\r\n")
    assert sorted(statuses)[-1] == b"HTTP/1.1 429 Too Many Requests"
    assert statuses.count(b"HTTP/1.1 429 Too Many Requests") == 1
