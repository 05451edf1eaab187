"""Who may call over HTTP, with which key, and how often.

    single        the server has a key; callers send a bearer token of the server, unless it listens on loopback
    per-caller    each request has its own key in Decthings-Api-Key, which is used for that request only

With --token-file callers need a token in both modes. `Authorization` is never passed on to Decthings.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from pydantic import SecretStr
from starlette.datastructures import Headers

from ...tools.calls.services import Caller
from .rate_limit import RateLimiter
from .settings import HttpSettings
from .tokens import Tokens

KEY_HEADER = "decthings-api-key"
NOBODY = "anyone"
"""The name of callers who need none."""
_MAX_HEADER_BYTES = 16 * 1024


class Refusal(Exception):
    """A request is refused: an HTTP status and a sentence for the user who configured the client."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}


class Access:
    """Identifies the caller of a request, and limits how often each one calls."""

    def __init__(self, settings: HttpSettings, tokens: Tokens | None) -> None:
        self._per_caller = settings.tenancy == "per-caller"
        self._tokens = tokens
        self._rate = RateLimiter(settings.calls_per_second)

    def authenticate(self, headers: Headers, query: bytes) -> Caller:
        """The caller of a request with these headers and this query string.

        Raises:
            Refusal: the request is not allowed, or comes too soon.
        """
        _check_form(headers, query)
        caller = self._caller(headers, self._name(headers))
        wait = self._rate.take(caller.name)
        if wait is not None:
            message = f"Too many calls in a short time; nothing was done. Wait {wait} s, then make the same call again."
            raise Refusal(429, message, {"Retry-After": str(wait)})
        return caller

    def _name(self, headers: Headers) -> str | None:
        """The name of the token's owner; None if no tokens are needed."""
        if self._tokens is None:
            return None
        scheme, _, token = headers.get("authorization", "").partition(" ")
        name = self._tokens.caller_of(token.strip()) if scheme.lower() == "bearer" else None
        if name is None:
            message = "This server needs a valid token: Authorization: Bearer TOKEN."
            raise Refusal(401, message, {"WWW-Authenticate": 'Bearer realm="decthings-mcp"'})
        return name

    def _caller(self, headers: Headers, name: str | None) -> Caller:
        key = headers.get(KEY_HEADER, "").strip()
        if not self._per_caller:
            if key:
                raise Refusal(400, "This server uses its own Decthings key; remove Decthings-Api-Key.")
            return Caller(name or NOBODY)
        if not re.fullmatch("[!-~]+", key):
            raise Refusal(401, "Every request must carry a Decthings API key in the header Decthings-Api-Key.")
        # A name that distinguishes callers in logs without revealing their keys.
        digest = hashlib.sha256(b"decthings-mcp caller\0" + key.encode()).hexdigest()
        return Caller(f"{name}/{digest[:12]}" if name else digest[:12], SecretStr(key))


def _check_form(headers: Headers, query: bytes) -> None:
    if query:
        raise Refusal(400, "This URL accepts no query parameters. Send keys and tokens in headers.")
    if any(len(headers.getlist(name)) > 1 for name in ("authorization", KEY_HEADER)):
        raise Refusal(400, "Authorization and Decthings-Api-Key may appear only once.")
    if sum(len(name) + len(value) for name, value in headers.raw) > _MAX_HEADER_BYTES:
        raise Refusal(431, f"The headers of a request may have at most {_MAX_HEADER_BYTES >> 10} KiB.")
