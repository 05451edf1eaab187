"""Replies to a client while the server is being loaded, then hands the connection over to it for good."""

from __future__ import annotations

import os
import sys
import threading

from ..stdio.connection import claim, ready
from . import replies
from .installed import installed_versions, replies_key
from .session import Session
from .writer import CacheWriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, NoReturn

    from mcp.server import MCPServer

    from ..settings import Settings
    from ..stdio.connection import Connection

    LoadServer = Callable[[], MCPServer[Any]]

_SWITCH_INTERVAL = 0.0005
"""Seconds until the thread that imports lets the one that replies run."""
_VERBOSE = ("DEBUG", "INFO")
"""Log levels at which the SDK logs every message, so it must see every message."""


def serve(settings: Settings, load_server: LoadServer) -> int:
    """Serves stdio, with early replies where they are possible. The exit status."""
    connection = None if _is_switched_off(os.environ) else claim()
    # The log comes first where there is one, even if the client leaves at once.
    is_quiet = not settings.warnings and settings.log_level not in _VERBOSE
    versions = installed_versions() if connection is not None and is_quiet else None
    prepared = None if versions is None else replies.load(versions)
    if connection is not None and prepared is not None and prepared.offer(settings):
        return _serve_stdio(_reply_while_loading(connection, Session(prepared), load_server), connection)
    key = replies_key(versions) if versions is not None and prepared is None else None
    server = load_server()
    if key is None:
        return _serve_stdio(server, connection)
    writer = CacheWriter(key)
    status = _serve_stdio(server, connection)
    writer.finish()
    return status


def _serve_stdio(server: MCPServer[Any], connection: Connection | None) -> int:
    from ..stdio.serve import serve_stdio

    return serve_stdio(server, connection)


def _is_switched_off(environ: Mapping[str, str]) -> bool:
    return "0" in (environ.get("DECTHINGS_MCP_EARLY_REPLIES"), environ.get("DECTHINGS_MCP_FRONT"))  # its old name


def _reply_while_loading(connection: Connection, session: Session, load_server: LoadServer) -> MCPServer[Any]:
    loading = _BackgroundImport(load_server)
    try:
        _serve_until_loaded(connection, session, loading)
        return loading.result()
    except KeyboardInterrupt:
        _exit_now(130)  # the interpreter would wait for the thread that imports
    except BrokenPipeError:
        _exit_now(0)  # there is no client any more


def _serve_until_loaded(connection: Connection, session: Session, loading: _BackgroundImport) -> None:
    """Replies until the server is loaded, or there is a line that must wait for it."""
    while not session.finished and not connection.ended:
        if not _is_readable(connection):  # what is there already has its reply first
            loading.start()
            if loading.is_done_before(reading=connection.reading):
                break
        for line in connection.receive():
            _reply_to(line, connection, session, loading)
    if connection.ended and not connection.waiting and not connection.unsent:
        _exit_now(0)
    connection.handshake_lines, connection.handshake_response = session.handshake_lines, session.handshake_response


def _is_readable(connection: Connection) -> bool:
    return connection.reading in ready(reading=[connection.reading], wait=False)


def _reply_to(line: str, connection: Connection, session: Session, loading: _BackgroundImport) -> None:
    reply = session.reply_to(line)
    if reply is None:
        connection.waiting.append(line)
    elif not _send(connection, reply, loading):
        session.finished = True


def _send(connection: Connection, reply: bytes, loading: _BackgroundImport) -> bool:
    """Whether all of it is sent. A client that does not read is left to the server, which can wait for more."""
    connection.unsent += reply
    while connection.unsent:
        if not ready(writing=[connection.writing], wait=False):
            loading.start()
            if loading.is_done_before(writing=connection.writing):
                return False
        connection.send_chunk()
    return True


class _BackgroundImport:
    """Loads the server in a thread of its own."""

    def __init__(self, load_server: LoadServer) -> None:
        self._load_server = load_server
        self._thread = threading.Thread(target=self._run, name="loading", daemon=True)
        self._is_started = False
        self._done_reader, self._done_writer = os.pipe()
        self._usual_switch_interval = sys.getswitchinterval()
        self._result: MCPServer[Any] | BaseException

    def start(self) -> None:
        if not self._is_started:
            self._is_started = True
            sys.setswitchinterval(_SWITCH_INTERVAL)
            self._thread.start()

    def is_done_before(self, reading: int | None = None, writing: int | None = None) -> bool:
        """Waits until the server is loaded or the descriptor is ready."""
        readers = [self._done_reader] if reading is None else [self._done_reader, reading]
        return self._done_reader in ready(readers, [] if writing is None else [writing])

    def result(self) -> MCPServer[Any]:
        """The server. Raises whatever loading it has raised."""
        self.start()
        self._thread.join()
        sys.setswitchinterval(self._usual_switch_interval)
        os.close(self._done_reader)
        os.close(self._done_writer)
        if isinstance(self._result, BaseException):
            raise self._result
        return self._result

    def _run(self) -> None:
        try:
            self._result = self._load_server()
        except BaseException as error:
            self._result = error
        finally:
            os.write(self._done_writer, b"!")


def _exit_now(status: int) -> NoReturn:
    """Ends the process without waiting for the thread that imports."""
    if sys.stderr is not None:  # pyright: ignore[reportUnnecessaryComparison]
        sys.stderr.flush()
    os._exit(status)
