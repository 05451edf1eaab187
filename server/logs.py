"""The log on stderr: without the API key, and without ever holding up the server."""

from __future__ import annotations

import logging
import os
import sys
import threading
from contextlib import suppress
from queue import Full, Queue
from typing import TextIO

from pydantic import SecretStr

from ..tools.decthings.client import CURRENT_API_KEY
from ..tools.decthings.redact import redact
from ..tools.results.text import sanitize

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_MAX_WAITING = 10_000
"""Writes that wait for a reader of stderr that is not reading; later ones are dropped."""
_FLUSH_SECONDS = 1.0
_MAX_CHARACTERS = 50_000
"""Of an entry, with its traceback."""


class PatientStream:
    """A text stream whose `write` never waits or fails: a thread passes on what the reader of `stream` takes.

    Args:
        stream: None drops everything, as `sys.stderr` is None when it was closed.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._waiting = Queue[str | threading.Event](_MAX_WAITING)
        self._thread = threading.Thread(target=self._pass_on, name="log", daemon=True)

    def start(self) -> None:
        if not self._thread.is_alive():
            self._thread.start()

    def write(self, text: str) -> None:
        with suppress(Full):
            self._waiting.put_nowait(text)

    def flush(self) -> None:
        """Does nothing: a log handler calls it after each line."""

    def drain(self) -> None:
        """Waits until all of it is written, but not long."""
        written = threading.Event()
        with suppress(Full):
            self._waiting.put(written, timeout=_FLUSH_SECONDS)
            written.wait(_FLUSH_SECONDS if self._thread.is_alive() else 0)

    def _pass_on(self) -> None:
        while True:
            item = self._waiting.get()
            if isinstance(item, threading.Event):
                item.set()
            elif self._stream is not None:
                with suppress(OSError, ValueError):  # nobody reads it, its disk is full, or it was closed
                    _write_all(self._stream.fileno(), item.encode(errors="backslashreplace"))


def _write_all(descriptor: int, data: bytes) -> None:
    """Past the file object, whose lock would be held for as long as nobody reads, and at the end of the process too."""
    while data:
        data = data[os.write(descriptor, data) :]


STDERR = PatientStream(sys.stderr)


class _Handler(logging.StreamHandler[PatientStream]):
    def close(self) -> None:
        self.stream.drain()
        super().close()


class _RedactingFormatter(logging.Formatter):
    """Removes the API key: libraries log response headers at DEBUG, and a proxy may echo the request."""

    def __init__(self, key: SecretStr | None) -> None:
        super().__init__(_FORMAT)
        self._key = key

    def format(self, record: logging.LogRecord) -> str:
        # Libraries log what anybody can send, with the characters that a terminal obeys.
        line = sanitize(super().format(record), _MAX_CHARACTERS)
        return redact(redact(line, self._key), CURRENT_API_KEY.get())


def configure_logging(level: str, key: SecretStr | None) -> None:
    """Log to stderr from `level` on, without the key."""
    STDERR.start()
    handler = _Handler(STDERR)
    handler.setFormatter(_RedactingFormatter(key))
    logging.basicConfig(level=level, handlers=[handler])
