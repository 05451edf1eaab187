"""Serving over stdin and stdout, and ending as a client expects."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

import anyio
from mcp.server import MCPServer

from ...tools.calls.mcp_internals import lowlevel_server
from ..logs import STDERR
from .connection import Connection
from .streams import open_streams

_LEAST_GRACE_SECONDS = 0.7


def serve_stdio(server: MCPServer[Any], connection: Connection | None) -> int:
    """Serves until stdin ends (0), the client goes away (0), or SIGINT or SIGTERM (130, 143).

    At the end of stdin, the requests in progress get a response first, within ten seconds.

    Args:
        connection: None lets the SDK use stdin and stdout in threads.

    Returns:
        The exit status.
    """
    if sys.stdin is None or sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison]
        return 0  # they were closed: there is no client
    return anyio.run(_serve, server, connection)


async def _serve(server: MCPServer[Any], connection: Connection | None) -> int:
    lowlevel = lowlevel_server(server)  # MCPServer's own stdio loop has no place for signals
    status = 0
    async with open_streams(connection) as (incoming, outgoing):
        try:
            async with anyio.create_task_group() as tasks:

                async def watch_signals() -> None:
                    nonlocal status
                    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                        async for received in signals:
                            status = 128 + received
                            tasks.cancel_scope.cancel()
                            return

                if sys.platform != "win32":
                    tasks.start_soon(watch_signals)
                await lowlevel.run(incoming, outgoing, lowlevel.create_initialization_options())
                _exit_after(max(_LEAST_GRACE_SECONDS, incoming.seconds_left), status)
                tasks.cancel_scope.cancel()
        except anyio.get_cancelled_exc_class():
            _exit_now(status)  # by a signal, or because nobody reads stdout any more
        if status:
            _exit_now(status)
    return status


def _exit_after(seconds: float, status: int) -> None:
    """A client that has stopped reading would hold the last responses, and with them the process, for ever."""
    timer = threading.Timer(seconds, _exit_now, [status])
    timer.daemon = True
    timer.start()


def _exit_now(status: int) -> None:
    """End without the thread that reads stdin, which cannot be woken. The lifespan has ended before."""
    STDERR.drain()
    os._exit(status)
