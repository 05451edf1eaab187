"""Serves the sandbox on a loopback port, for other programs and for tests."""

from __future__ import annotations

import socket
import sqlite3
import sys
from pathlib import Path

import uvicorn

from .app import create_sandbox


def sandbox_server(data: Path) -> uvicorn.Server:
    """A uvicorn server for the sandbox, to be run on sockets of `listen`."""
    return uvicorn.Server(
        uvicorn.Config(
            create_sandbox(data), log_level="warning", server_header=False, date_header=False, lifespan="off"
        )
    )


def listen(port: int) -> socket.socket:
    """A socket on 127.0.0.1; 0 takes a free port."""
    # With the protocol: asyncio disables Nagle's algorithm only on sockets that it knows are TCP.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        listening.listen(128)
    except BaseException:
        listening.close()
        raise
    return listening


def serve_sandbox(data: Path, port: int) -> int:
    """Serve until interrupted. Returns the exit status: 2 if it cannot listen or use its folder."""
    try:
        server = sandbox_server(data)
        listening = listen(port)
    except (OSError, OverflowError, sqlite3.Error) as error:
        print(f"decthings-mcp: the sandbox cannot use port {port} and {data}: {error}", file=sys.stderr)
        return 2
    with listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/v0"
        print(f"The sandbox listens on {url} and keeps its models in {data}.", flush=True)
        print("It accepts any API key, for example:", flush=True)
        print(f"  DECTHINGS_API_KEY=sandbox decthings-mcp --api-url {url}", flush=True)
        server.run(sockets=[listening])
    return 0
