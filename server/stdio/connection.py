"""The client's two pipes, and how far they have been read and written."""

from __future__ import annotations

import os
import select
import stat
import sys

from .lines import Lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_READ_BYTES = 1 << 16
_WRITE_BYTES = getattr(select, "PIPE_BUF", 512)
"""A pipe that is ready takes so many bytes at once. So nobody waits in a write, and the descriptors need not
be made non-blocking, which other processes that hold them would see."""


class Connection:
    """The client's stdin and stdout. The server takes it over in the state in which early replies leave it."""

    def __init__(self, reading: int, writing: int) -> None:
        self.reading, self.writing = reading, writing
        self.lines = Lines()
        self.waiting: list[str] = []
        """Lines that were read and have no response yet."""
        self.handshake_lines: list[str] = []
        """Messages that have a response, and that the server must see to know the state of the session."""
        self.handshake_response = b""
        """The response to the first of them, the only one that has a response."""
        self.unsent = b""
        self.ended = False

    def receive(self) -> list[str]:
        """The lines that are complete now. Call it when there is something to read; it sets `ended` at the end."""
        try:
            data = os.read(self.reading, _READ_BYTES)
        except BlockingIOError:  # the parent process made the descriptor non-blocking
            return []
        self.ended = not data
        return self.lines.feed(data) if data else self.lines.end()

    def send_chunk(self) -> None:
        """Sends some of `unsent`. Call it when stdout can be written to."""
        try:
            self.unsent = self.unsent[os.write(self.writing, self.unsent[:_WRITE_BYTES]) :]
        except BlockingIOError:
            return


def ready(reading: Sequence[int] = (), writing: Sequence[int] = (), *, wait: bool = True) -> set[int]:
    """The descriptors that can be read from, or written to, now or once one of them can be.

    Polled, since `select` refuses descriptors above 1,023, which a parent process may have left open.
    """
    poll = select.poll()
    for descriptor in reading:
        poll.register(descriptor, select.POLLIN)
    for descriptor in writing:
        poll.register(descriptor, select.POLLOUT)
    return {descriptor for descriptor, _ in poll.poll(None if wait else 0)}


def claim() -> Connection | None:
    """A connection over stdin and stdout, if they are pipes, sockets or terminals of a system that can wait for them.

    From now on, whatever prints to stdout prints to stderr, and whatever reads stdin reads nothing.
    """
    if sys.platform == "win32" or sys.stdin is None or sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison]
        return None
    try:
        if sys.stdin.fileno() != 0 or sys.stdout.fileno() != 1 or not (_is_awaitable(0) and _is_awaitable(1)):
            return None
        return Connection(_replace(0, _open_empty()), _replace(1, _open_stderr()))
    except (OSError, ValueError):
        return None


def _is_awaitable(descriptor: int) -> bool:
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(descriptor)


def _replace(descriptor: int, substitute: int) -> int:
    """Another descriptor for the same file; the old one becomes `substitute`."""
    import fcntl

    private = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    os.dup2(substitute, descriptor)
    os.close(substitute)
    return private


def _open_empty() -> int:
    return os.open(os.devnull, os.O_RDONLY)


def _open_stderr() -> int:
    try:
        return os.dup(2)
    except OSError:
        return os.open(os.devnull, os.O_WRONLY)
