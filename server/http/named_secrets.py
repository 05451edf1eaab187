"""The files of --token-file and --keys: names of callers, each with a secret, read again when they change."""

from __future__ import annotations

import hashlib
import hmac
import logging
import stat
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from ..settings import Secret, SettingsError

_log = logging.getLogger(__name__)

_SHORTEST_SECRET = 16
_RELOAD_SECONDS = 1.0


class NamedSecret(NamedTuple):
    name: str
    secret: Secret


class _SecretsFile(ABC):
    """A file with a name and a secret on each line. While it cannot be read, what it last listed stays valid."""

    option: str
    noun: str
    """What the secrets are, for the operator."""
    advice: str = ""

    def __init__(self, path: Path) -> None:
        self._path = path.expanduser()
        self._checked_at = monotonic()
        self._version: tuple[int, ...] = ()
        try:
            self._version, pairs = self._file_version(), self._read()
        except OSError as error:
            raise SettingsError(f"The file of {self.option} cannot be read: {type(error).__name__}.") from None
        if not pairs:
            raise SettingsError(f"The file of {self.option} lists no callers.")
        self._set(pairs)

    @abstractmethod
    def _set(self, pairs: Sequence[NamedSecret]) -> None:
        """Use these instead of the previous ones.

        Raises:
            SettingsError: they contradict each other.
        """

    def _reload_if_changed(self) -> None:
        if monotonic() - self._checked_at < _RELOAD_SECONDS:
            return
        self._checked_at = monotonic()
        try:
            version = self._file_version()
            if version != self._version:
                pairs = self._read()
                self._set(pairs)
                self._version = version
                _log.warning("The file of %s has changed; its lines now: %d", self.option, len(pairs))
        except (OSError, SettingsError) as error:
            reason = str(error) if isinstance(error, SettingsError) else type(error).__name__
            _log.error("The file of %s cannot be used (%s); its previous content stays valid", self.option, reason)

    def _file_version(self) -> tuple[int, ...]:
        status = self._path.stat()
        if not stat.S_ISREG(status.st_mode):  # reading a pipe would block the server
            raise OSError("not a regular file")
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _read(self) -> list[NamedSecret]:
        pairs: list[NamedSecret] = []
        for number, line in enumerate(self._path.read_text(encoding="utf-8-sig", errors="replace").splitlines(), 1):
            parts = line.split()
            if not parts or parts[0].startswith("#"):
                continue
            if len(parts) != 2 or len(parts[1]) < _SHORTEST_SECRET or not parts[1].isascii():
                raise SettingsError(
                    f"The file of {self.option} must have a name and a {self.noun} on each line, separated by a space; "
                    f"line {number} has not. A name has no spaces, and a {self.noun} {_SHORTEST_SECRET} characters or "
                    f"more.{self.advice}"
                )
            pairs.append(NamedSecret(parts[0], Secret(parts[1])))
        return pairs


class Tokens(_SecretsFile):
    """The file of --token-file: who may call. A caller can have several tokens."""

    option = "--token-file"
    noun = "token"
    advice = " To create one: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"

    def caller_of(self, token: str) -> str | None:
        """The name of the token's owner, or None if the token is unknown."""
        self._reload_if_changed()
        digest, caller = _digest(token), None
        for known, name in self._names.items():  # compares all of them, so that the time it takes reveals nothing
            if hmac.compare_digest(known, digest):
                caller = name
        return caller

    def _set(self, pairs: Sequence[NamedSecret]) -> None:
        self._names = {_digest(secret.value): name for name, secret in pairs}


class Keys(_SecretsFile):
    """The file of --keys: the Decthings key of each caller."""

    option = "--keys"
    noun = "Decthings key"

    def key_of(self, name: str) -> Secret | None:
        self._reload_if_changed()
        return self._keys.get(name)

    def _set(self, pairs: Sequence[NamedSecret]) -> None:
        keys = dict(pairs)
        if len(keys) < len(pairs):
            raise SettingsError("The file of --keys lists a name twice; each caller has one key.")
        self._keys = keys


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
