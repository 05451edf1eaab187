"""Writes early replies for the next start, when those of this one were missing."""

from __future__ import annotations

import threading

from . import cache
from .installed import installed_versions, replies_key

_IDLE_SECONDS = 3.0
"""From the start of the server until it writes: a client has its first replies by then."""


class CacheWriter:
    """Writes the replies of this server once: when it has served for a while, or at its end if that is earlier."""

    def __init__(self, key: list[str]) -> None:
        self._key: list[str] | None = key
        self._lock = threading.Lock()
        self._timer = threading.Timer(_IDLE_SECONDS, self.finish)
        self._timer.daemon = True
        self._timer.start()

    def finish(self) -> None:
        """Writes, unless that is done."""
        self._timer.cancel()
        with self._lock:
            key, self._key = self._key, None
            if key is not None:
                _write(key)


def _write(key: list[str]) -> None:
    try:
        versions = installed_versions()
        is_unchanged = versions is not None and replies_key(versions) == key  # else updated since this process started
        if is_unchanged and cache.can_write():
            from .generate import document

            cache.write(key, document())
    except OSError:  # a full disk or a read-only home: the next start is slow again
        return
    except Exception as error:  # the server serves all the same
        import logging

        logging.getLogger(__name__).warning("Early replies cannot be prepared: %s", type(error).__name__)
