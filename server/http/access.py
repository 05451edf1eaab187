"""Who may call over HTTP, with which key, and how often.

    single        the server has a key; callers show who they are, unless it listens on loopback
    per-caller    each request has a key of its own: from Decthings-Api-Key, or the caller's in the file of --keys

Callers show who they are with a token of --token-file, or with an access token of --oidc-issuer, in both modes. Where
they need neither, per-caller takes `Authorization: Bearer KEY` for Decthings-Api-Key, since some clients take any other
header for a reason to sign in. Apart from that, `Authorization` is never passed on to Decthings.
"""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple, Protocol

from pydantic import SecretStr
from starlette.datastructures import Headers

from ...tools.calls.services import Caller
from ...tools.results.text import sanitize
from .named_secrets import Keys, Tokens
from .rate_limit import RateLimiter
from .refusal import Refusal
from .settings import HttpSettings

KEY_HEADER = "decthings-api-key"
NOBODY = "anyone"
"""The name of callers who need none."""
_MAX_HEADER_BYTES = 16 * 1024
_REALM = {"WWW-Authenticate": 'Bearer realm="decthings-mcp"'}


class SignIn(Protocol):
    """Identifies callers by access tokens."""

    async def caller_of(self, token: str) -> str:
        """The name of the token's owner.

        Raises:
            Refusal: the token is not accepted.
        """
        ...


class Credentials(NamedTuple):
    """What callers are identified by, and their keys."""

    tokens: Tokens | None = None
    keys: Keys | None = None

    @classmethod
    def load(cls, settings: HttpSettings) -> Credentials:
        """Read the files that the settings name.

        Raises:
            SettingsError: one of them cannot be used.
        """
        return cls(
            None if settings.token_file is None else Tokens(settings.token_file),
            None if settings.keys_file is None else Keys(settings.keys_file),
        )


class Access:
    """Identifies the caller of a request, and limits by `rate` how often each one calls."""

    def __init__(self, settings: HttpSettings, credentials: Credentials, sign_in: SignIn | None = None) -> None:
        self._per_caller = settings.tenancy == "per-caller"
        self._tokens, self._keys = credentials
        self._sign_in = sign_in
        self.rate = RateLimiter(settings.calls_per_second)

    async def authenticate(self, headers: Headers, query: bytes) -> Caller:
        """The caller of a request with these headers and this query string.

        Raises:
            Refusal: the request is not allowed, or comes too soon.
        """
        _check_form(headers, query)
        caller = self._caller(headers, await self._name(_bearer(headers)))
        wait = self.rate.take(caller.name)
        if wait is not None:
            message = f"Too many calls in a short time; nothing was done. Wait {wait} s, then make the same call again."
            raise Refusal(429, message, {"Retry-After": str(wait)})
        return caller

    async def _name(self, token: str) -> str | None:
        """The name of the token's owner; None if callers need no token."""
        name = None if self._tokens is None else self._tokens.caller_of(token)
        if name is None and self._sign_in is not None:
            return await self._sign_in.caller_of(token)
        if name is None and self._tokens is not None:
            raise Refusal(401, "This server needs a valid token: Authorization: Bearer TOKEN.", _REALM)
        return name

    def _caller(self, headers: Headers, name: str | None) -> Caller:
        key = headers.get(KEY_HEADER, "").strip()
        if not self._per_caller:
            if key:
                raise Refusal(400, "This server uses its own Decthings key; remove Decthings-Api-Key.")
            return Caller(name or NOBODY)
        key = key or (_bearer(headers) if name is None else self._key_of(name))
        if not re.fullmatch("[!-~]+", key):
            raise self._no_key(name)
        # A name that distinguishes callers in logs without revealing their keys.
        digest = hashlib.sha256(b"decthings-mcp caller\0" + key.encode()).hexdigest()
        return Caller(f"{name}/{digest[:12]}" if name else digest[:12], SecretStr(key))

    def _key_of(self, name: str) -> str:
        """The key of the caller in the file of --keys, or an empty string."""
        key = None if self._keys is None else self._keys.key_of(name)
        return "" if key is None else key.value

    def _no_key(self, name: str | None) -> Refusal:
        """A refusal for want of a key; not a 401 where the caller is known, after which clients sign in again."""
        needed = "Every request must carry a Decthings API key in the header Decthings-Api-Key"
        if name is None:
            return Refusal(401, f"{needed}, or as Authorization: Bearer KEY.", _REALM)
        if self._keys is None:
            return Refusal(403, f"{needed}.")
        message = f"This server has no Decthings key for {sanitize(name, 255)!r}. Ask its operator to"
        if " " in name:
            return Refusal(
                403, f"{message} set --oidc-name-claim to a claim without spaces, as names in --keys have none."
            )
        return Refusal(403, f"{message} add that name, as it is spelled here, and a key to the file of --keys.")


def _bearer(headers: Headers) -> str:
    """The bearer token of a request, or an empty string."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _check_form(headers: Headers, query: bytes) -> None:
    if query:
        raise Refusal(400, "This URL accepts no query parameters. Send keys and tokens in headers.")
    if any(len(headers.getlist(name)) > 1 for name in ("authorization", KEY_HEADER)):
        raise Refusal(400, "Authorization and Decthings-Api-Key may appear only once.")
    if sum(len(name) + len(value) for name, value in headers.raw) > _MAX_HEADER_BYTES:
        raise Refusal(431, f"The headers of a request may have at most {_MAX_HEADER_BYTES >> 10} KiB.")
