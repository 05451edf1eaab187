"""Reading a file that passes by once: whoever reads it waits, in a thread, for the bytes to come.

The checks of model files jump ahead, and back by a little: they never need what lies far behind.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Condition

from .structure import ReadAt

_KEPT = 64 * 1024
"""Bytes that stay readable: of the start, for signatures, and before the newest chunk."""


class AlreadyPassed(Exception):
    """Bytes were asked for that are no longer held."""


class PassingFile:
    """A file of known size, given chunk by chunk to a check that runs in a thread of its own."""

    def __init__(self, size: int, check: Callable[[ReadAt], None]) -> None:
        self._size = size
        self._changed = Condition()
        self._head = self._recent = b""
        self._end = 0
        self._is_waited_for = self._is_closed = self._has_ended = False
        self._thread = ThreadPoolExecutor(1, "check")
        self._check = self._thread.submit(self._run, check)

    def pass_on(self, chunk: bytes) -> None:
        """Give the next chunk, and wait until the check has come to its end. Blocks.

        Raises:
            Exception: that of the check, if it has ended with one.
        """
        with self._changed:
            self._head = (self._head + chunk[:_KEPT])[:_KEPT]
            self._recent = self._recent[-_KEPT:] + chunk
            self._end += len(chunk)
            self._is_waited_for = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._is_waited_for or self._has_ended)
        if self._has_ended:
            self._check.result()

    def close(self) -> None:
        """End the check, if it still waits."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._thread.shutdown(wait=False)

    def _run(self, check: Callable[[ReadAt], None]) -> None:
        try:
            check(self._read_at)
        finally:
            with self._changed:
                self._has_ended = True
                self._changed.notify_all()

    def _read_at(self, offset: int, length: int) -> bytes:
        end = min(offset + length, self._size)
        with self._changed:
            while self._end < end and not self._is_closed:
                self._is_waited_for = True
                self._changed.notify_all()
                self._changed.wait()
            if end <= len(self._head):
                return self._head[offset:end]
            start = offset - (self._end - len(self._recent))
            if start < 0:
                raise AlreadyPassed
            return self._recent[start : start + end - offset]
