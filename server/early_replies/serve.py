"""Answers a client while the server is being loaded, then hands the connection over to it for good."""

from __future__ import annotations

import os
import select
import sys
import threading

from ..importing import FastImports
from ..stdio import connection
from . import options
from . import replies as prepared
from .session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NoReturn

    from mcp.server import MCPServer

    from ..stdio.connection import Connection

_PATIENCE = 0.0005
"""Seconds until a thread that imports lets the one that answers run."""


def serve_from_start(argv: Sequence[str]) -> int | None:
    """The exit status; None when this command line is not for the front, and nothing has been done yet."""
    if connection.is_switched_off(os.environ):
        return None
    answers = prepared.load()
    offered = None if answers is None else options.offered_tools(argv, os.environ, answers.tools)
    if answers is None or offered is None or (connected := connection.claim()) is None:
        return None
    answers.offered = offered
    return _serve(argv, connected, Session(answers))


def _serve(argv: Sequence[str], connected: Connection, session: Session) -> int:
    loading = _Loading(argv)
    try:
        _converse(connected, session, loading)
        server = loading.result()
    except KeyboardInterrupt:
        _leave(130)  # the interpreter would wait for the thread that imports
    except BrokenPipeError:
        _leave(0)  # there is no client any more
    if isinstance(server, int):
        return server
    from ..stdio.serve import serve_stdio

    return serve_stdio(server, connected)


def _converse(connected: Connection, session: Session, loading: _Loading) -> None:
    """Until the server is loaded, or there is a line that has to wait for it."""
    while not session.over:
        if not _is_ready(connected.reading, 0):  # what is there already is answered first
            loading.begin()
            if loading.is_done_before(connected.reading):
                break
        for line in connected.receive():
            answer = session.answer(line)
            if answer is None:
                connected.waiting.append(line)
            elif not _send(connected, answer, loading):
                session.over = True
        if connected.ended:
            break
    if connected.ended and not connected.waiting and not connected.unsent:
        _leave(0)
    connected.replayed, connected.answer_to_replayed = session.replayed, session.answer_to_replayed


def _is_ready(descriptor: int, seconds: float) -> bool:
    return bool(select.select([descriptor], [], [], seconds)[0])


def _send(connected: Connection, answer: bytes, loading: _Loading) -> bool:
    """Whether all of it is sent. A client that does not read is left to the server, which can wait for more."""
    connected.unsent += answer
    while connected.unsent:
        if not select.select([], [connected.writing], [], 0)[1]:
            loading.begin()
            if loading.is_done_before(writing=connected.writing):
                return False
        connected.send_chunk()
    return True


class _Loading:
    """The import of everything, in a thread of its own."""

    def __init__(self, argv: Sequence[str]) -> None:
        self._argv = argv
        self._thread = threading.Thread(target=self._load, name="loading", daemon=True)
        self._begun = False
        self._woken, self._wake = os.pipe()
        self._usual_patience = sys.getswitchinterval()
        self._result: MCPServer[Any] | int | BaseException = 0

    def begin(self) -> None:
        if not self._begun:
            self._begun = True
            sys.setswitchinterval(_PATIENCE)
            self._thread.start()

    def is_done_before(self, reading: int | None = None, writing: int | None = None) -> bool:
        """Waits for it, or until the descriptor is ready."""
        readers = [self._woken] if reading is None else [self._woken, reading]
        return self._woken in select.select(readers, [] if writing is None else [writing], [])[0]

    def result(self) -> MCPServer[Any] | int:
        """The server, or the exit status when there is none. Raises what loading it has raised."""
        self.begin()
        self._thread.join()
        sys.setswitchinterval(self._usual_patience)
        os.close(self._woken)
        os.close(self._wake)
        if isinstance(self._result, BaseException):
            raise self._result
        return self._result

    def _load(self) -> None:
        try:
            with FastImports():
                from ..cli import load_server
            self._result = load_server(self._argv)
        except BaseException as error:
            self._result = error
        finally:
            os.write(self._wake, b"!")


def _leave(status: int) -> NoReturn:
    """Without the thread that imports."""
    if sys.stderr is not None:  # pyright: ignore[reportUnnecessaryComparison]
        sys.stderr.flush()
    os._exit(status)
