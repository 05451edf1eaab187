"""The file of --token-file: the callers of the HTTP server and their tokens."""

from __future__ import annotations

import hashlib
import hmac
import logging
import stat
from pathlib import Path
from time import monotonic

from ..settings import SettingsError

_log = logging.getLogger(__name__)

_SHORTEST_TOKEN = 16
_RELOAD_SECONDS = 1.0


class Tokens:
    """A file with a name and a token on each line, read again when it changes."""

    def __init__(self, path: Path) -> None:
        self._path = path.expanduser()
        self._checked_at = monotonic()
        self._version: tuple[int, ...] = ()
        try:
            self._version, self._names = self._file_version(), self._read()
            if not self._names:
                raise SettingsError("The file of --token-file lists no callers.")
        except OSError as error:
            raise SettingsError(f"The file of --token-file cannot be read: {type(error).__name__}.") from None

    def caller_of(self, token: str) -> str | None:
        """The name of the token's owner, or None if the token is unknown."""
        self._reload_if_changed()
        digest, caller = _digest(token), None
        for known, name in self._names.items():  # compares all of them, so that the time it takes reveals nothing
            if hmac.compare_digest(known, digest):
                caller = name
        return caller

    def _reload_if_changed(self) -> None:
        if monotonic() - self._checked_at < _RELOAD_SECONDS:
            return
        self._checked_at = monotonic()
        try:
            version = self._file_version()
            if version != self._version:
                self._names, self._version = self._read(), version
                _log.warning("The token file has changed; it lists %d callers now", len(self._names))
        except (OSError, SettingsError) as error:
            _log.error(
                "The token file can no longer be read (%s); the previous tokens stay valid", type(error).__name__
            )

    def _file_version(self) -> tuple[int, ...]:
        status = self._path.stat()
        if not stat.S_ISREG(status.st_mode):  # reading a pipe would block the server
            raise OSError("not a regular file")
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _read(self) -> dict[bytes, str]:
        """Read the file: names by the digests of their tokens."""
        names: dict[bytes, str] = {}
        for line in self._path.read_text(encoding="utf-8-sig", errors="replace").splitlines():
            parts = line.split()
            if not parts or parts[0].startswith("#"):
                continue
            if len(parts) != 2 or len(parts[1]) < _SHORTEST_TOKEN or not parts[1].isascii():
                raise SettingsError(
                    "The file of --token-file must have a name and a token on each line, separated by a space. A token "
                    f"has {_SHORTEST_TOKEN} characters or more. To create one: "
                    "python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"
                )
            names[_digest(parts[1])] = parts[0]
        return names


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
