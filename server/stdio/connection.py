"""The client's two pipes, and how far they have been read and written."""

from __future__ import annotations

import os
import select
import stat
import sys

from .lines import Lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_AT_A_TIME = 1 << 16
_CHUNK = getattr(select, "PIPE_BUF", 512)
"""A pipe that can be written to takes so many bytes at once. So nobody waits in a write, and the
descriptors need not be made non-blocking, which other processes that hold them would see."""


class Connection:
    """Whoever serves takes it over as it was left."""

    def __init__(self, reading: int, writing: int) -> None:
        self.reading, self.writing = reading, writing
        self.lines = Lines()
        self.waiting: list[str] = []
        """Lines that are read and not answered."""
        self.replayed: list[str] = []
        """Messages that were answered, and that whoever answers from now on has to know of."""
        self.answer_to_replayed = b""
        """What was answered to the first of them, the only one that has an answer."""
        self.unsent = b""
        self.ended = False

    def receive(self) -> list[str]:
        """To be called when there is something to read. Sets `ended` when nothing more will come."""
        try:
            data = os.read(self.reading, _AT_A_TIME)
        except BlockingIOError:  # whoever started us made it so
            return []
        self.ended = not data
        return self.lines.feed(data) if data else self.lines.end()

    def send_chunk(self) -> None:
        """Of what is unsent. To be called when it can be written."""
        try:
            self.unsent = self.unsent[os.write(self.writing, self.unsent[:_CHUNK]) :]
        except BlockingIOError:
            return


def is_switched_off(environ: Mapping[str, str]) -> bool:
    return environ.get("DECTHINGS_MCP_FRONT") == "0"


def claim() -> Connection | None:
    """Stdin and stdout, if they are pipes, sockets or terminals of a system that can wait for them.

    What prints to stdout from now on prints to stderr, and what reads stdin reads nothing.
    """
    if sys.platform == "win32" or sys.stdin is None or sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison]
        return None
    try:
        if sys.stdin.fileno() != 0 or sys.stdout.fileno() != 1 or not (_can_be_awaited(0) and _can_be_awaited(1)):
            return None
        return Connection(_moved(0, _nothing()), _moved(1, _stderr()))
    except (OSError, ValueError):
        return None


def _can_be_awaited(descriptor: int) -> bool:
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(descriptor)


def _moved(descriptor: int, substitute: int) -> int:
    """Another descriptor for the same file; the old one becomes `substitute`."""
    import fcntl

    private = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    os.dup2(substitute, descriptor)
    os.close(substitute)
    return private


def _nothing() -> int:
    return os.open(os.devnull, os.O_RDONLY)


def _stderr() -> int:
    try:
        return os.dup(2)
    except OSError:
        return os.open(os.devnull, os.O_WRONLY)
