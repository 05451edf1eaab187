"""Who may call over HTTP, with which key, and how often.

    single        the server has a key; callers send a bearer token of the server, unless it listens on loopback
    per-caller    each request has its own key in Decthings-Api-Key, which is used for that request only

With --token-file callers need a token in both modes. `Authorization` is never passed on to Decthings.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from time import monotonic

from pydantic import SecretStr
from starlette.datastructures import Headers

from ...tools.calls.services import Caller
from ..settings import SettingsError
from .settings import HttpSettings

_log = logging.getLogger(__name__)

KEY_HEADER = "decthings-api-key"
_SHORTEST_TOKEN = 16
_MAX_HEADER_BYTES = 16 * 1024
_RELOAD_SECONDS = 1.0
_IDLE_SECONDS = 600.0


@dataclass(frozen=True)
class Refusal:
    """Why a request is refused: an HTTP status and a sentence for the user who configured the client."""

    status: int
    message: str
    headers: Mapping[str, str]


class Access:
    """Identifies the caller of a request, and limits how often each one calls."""

    def __init__(self, settings: HttpSettings, tokens: Tokens | None) -> None:
        self._per_caller = settings.tenancy == "per-caller"
        self._tokens = tokens
        self._rate = RateLimiter(settings.calls_per_second)

    def authenticate(self, headers: Headers, query: bytes) -> Caller | Refusal:
        if query:
            return _refused(400, "This URL accepts no query parameters. Send keys and tokens in headers.")
        if any(len(headers.getlist(name)) > 1 for name in ("authorization", KEY_HEADER)):
            return _refused(400, "Authorization and Decthings-Api-Key may appear only once.")
        if sum(len(name) + len(value) for name, value in headers.raw) > _MAX_HEADER_BYTES:
            return _refused(431, f"The headers of a request may have at most {_MAX_HEADER_BYTES >> 10} KiB.")
        caller = self._caller(headers)
        if isinstance(caller, Refusal):
            return caller
        wait = self._rate.take(caller.name)
        if wait is not None:
            return _refused(
                429,
                f"Too many calls in a short time; nothing was done. Wait {wait} s, then make the same call again.",
                **{"Retry-After": str(wait)},
            )
        return caller

    def _caller(self, headers: Headers) -> Caller | Refusal:
        name = self._name(headers)
        if isinstance(name, Refusal):
            return name
        key = headers.get(KEY_HEADER, "").strip()
        if not self._per_caller:
            if key:
                return _refused(400, "This server uses its own Decthings key; remove Decthings-Api-Key.")
            return Caller(name or "anyone")
        if not re.fullmatch("[!-~]+", key):
            return _refused(401, "Every request must carry a Decthings API key in the header Decthings-Api-Key.")
        # A name that distinguishes callers in logs without revealing their keys.
        digest = hashlib.sha256(b"decthings-mcp caller\0" + key.encode()).hexdigest()
        return Caller(f"{name}/{digest[:12]}" if name else digest[:12], SecretStr(key))

    def _name(self, headers: Headers) -> str | Refusal | None:
        """The name of the token's owner; None if no tokens are needed."""
        if self._tokens is None:
            return None
        scheme, _, token = headers.get("authorization", "").partition(" ")
        name = self._tokens.caller_of(token.strip()) if scheme.lower() == "bearer" else None
        unknown = "This server needs a valid token: Authorization: Bearer TOKEN."
        return name or _refused(401, unknown, **{"WWW-Authenticate": 'Bearer realm="decthings-mcp"'})


def _refused(status: int, message: str, **headers: str) -> Refusal:
    return Refusal(status, message, headers)


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
        for line in self._path.read_text(encoding="utf-8", errors="replace").splitlines():
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


class RateLimiter:
    """A token bucket for each caller, which holds the calls of two seconds."""

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._size = max(1.0, 2 * per_second)
        self._buckets: dict[str, tuple[float, float]] = {}
        self._swept_at = monotonic()

    def take(self, caller: str) -> int | None:
        """Count a call. Returns None if it is allowed, or else the number of seconds to wait."""
        now = monotonic()
        self._sweep(now)
        left, at = self._buckets.get(caller, (self._size, now))
        left = min(self._size, left + (now - at) * self._per_second)
        allowed = left >= 1
        self._buckets[caller] = (left - 1 if allowed else left, now)
        return None if allowed else ceil((1 - left) / self._per_second)

    def _sweep(self, now: float) -> None:
        """Remove the buckets of callers that have been idle for long."""
        if now - self._swept_at > _IDLE_SECONDS:
            self._swept_at = now
            self._buckets = {name: b for name, b in self._buckets.items() if now - b[1] < _IDLE_SECONDS}
