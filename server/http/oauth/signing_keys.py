"""The keys with which the authorization server signs: found through its metadata, cached, and fetched again."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from math import ceil
from time import monotonic
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import anyio.lowlevel
import httpx
import jwt

from ....tools.decthings.json_codec import is_list, is_object
from ....tools.decthings.sending import connect_error_reason
from ....tools.results.text import sanitize
from ...connection import http_client_factory
from ..refusal import Refusal
from .settings import is_safe_url

_log = logging.getLogger(__name__)

ALGORITHMS: dict[tuple[str, str | None], str] = {
    ("RSA", None): "RS256",
    ("EC", "P-256"): "ES256",
    ("OKP", "Ed25519"): "EdDSA",
}
"""The accepted algorithms, by the type and the curve of a key. All are asymmetric."""

_FETCH_SECONDS = 10.0
_REFRESH_SECONDS = 600.0
"""How long a key stays valid that the authorization server has removed."""
_RETRY_SECONDS = 30.0
"""After a refresh that failed."""
_UNKNOWN_KEY_SECONDS = 60.0
"""Between two fetches because of unknown keys: anybody can name a key that does not exist."""
_NO_KEYS_SECONDS = 5.0
"""Between two while none is known."""
_KEPT_SECONDS = 24 * 3600.0
"""How long keys stay valid while they cannot be fetched."""
_MAX_BYTES = 1024 * 1024
"""Of a document of the authorization server."""


class _IssuerError(Exception):
    """The authorization server responds, but not as it should. The message is for the operator."""


class _NotThere(_IssuerError):
    """It responds with a status of 400 to 499."""


class SigningKeys:
    """The public keys of one authorization server, by their `kid` and algorithm.

    A key that is known is found without waiting. Concurrent callers with unknown keys share one fetch. While the
    authorization server cannot be reached, the keys that are known stay valid for a day.
    """

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer
        self._open_client: Callable[[], httpx.AsyncClient] | None = None
        self._fetching = anyio.Lock()
        self._keys: dict[tuple[str, str], jwt.PyJWK] = {}
        self._is_current = False
        self._fetched_at = 0.0
        self._next_fetch_at = 0.0

    @asynccontextmanager
    async def kept_current(self) -> AsyncGenerator[None]:
        """Fetch the keys now, and regularly until the block ends."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._refresh_regularly)
            await anyio.lowlevel.checkpoint()  # the first requests wait for this fetch, instead of one of their own
            yield
            group.cancel_scope.cancel()

    async def find(self, kid: str, algorithm: str) -> jwt.PyJWK | None:
        """The key with this id for this algorithm, or None if the authorization server has no such key.

        Raises:
            Refusal: it cannot be known, since the authorization server cannot be reached.
        """
        key = kid, algorithm
        if self._may_fetch_for(key):
            async with self._fetching:
                if self._may_fetch_for(key):
                    pause = _UNKNOWN_KEY_SECONDS if self._keys else _NO_KEYS_SECONDS
                    await self._fetch()
                    self._next_fetch_at = monotonic() + pause
        if key not in self._keys and not self._is_current:
            wait = str(max(1, ceil(self._next_fetch_at - monotonic())))
            message = (
                f"The keys of the sign-in service are not known; nothing was done. Wait {wait} s, then call again. If "
                "that does not help, ask the operator of this server: its log says why."
            )
            raise Refusal(503, message, {"Retry-After": wait})
        return self._keys.get(key)

    def _may_fetch_for(self, key: tuple[str, str]) -> bool:
        return key not in self._keys and monotonic() >= self._next_fetch_at

    async def _refresh_regularly(self) -> None:
        while True:
            async with self._fetching:
                await self._fetch()
            await anyio.sleep(_REFRESH_SECONDS if self._is_current else _RETRY_SECONDS)

    async def _fetch(self) -> None:
        """Fetch the keys; if that fails, log why and keep those that are known."""
        try:
            self._open_client = self._open_client or http_client_factory(self._issuer)
            with anyio.fail_after(_FETCH_SECONDS):
                async with self._open_client() as http:
                    keys = _usable_keys(await _get(http, await self._jwks_uri(http)))
        except Exception as error:  # of any kind: what the authorization server sends may not end this server
            self._is_current = False
            if monotonic() - self._fetched_at > _KEPT_SECONDS:
                self._keys = {}
            reason = connect_error_reason(error) if isinstance(error, httpx.ConnectError) else type(error).__name__
            reason = str(error) if isinstance(error, _IssuerError) else reason
            known = len(self._keys)
            _log.error("The keys of %s cannot be fetched: %s. %d keys are known", self._issuer, reason, known)
        else:
            self._keys, self._is_current, self._fetched_at = keys, True, monotonic()
            if not self._keys:
                _log.error("%s lists no key with a kid for %s", self._issuer, ", ".join(ALGORITHMS.values()))

    async def _jwks_uri(self, http: httpx.AsyncClient) -> str:
        metadata = await _metadata(http, self._issuer)
        if metadata.get("issuer") != self._issuer:
            named = sanitize(str(metadata.get("issuer")), 200)
            raise _IssuerError(f"its metadata names the issuer {named!r}, and --oidc-issuer must be exactly that")
        uri = metadata.get("jwks_uri")
        if not isinstance(uri, str) or not is_safe_url(uri, query=True):
            raise _IssuerError("its metadata has no jwks_uri with https")
        return uri


async def _metadata(http: httpx.AsyncClient, issuer: str) -> dict[str, Any]:
    """The metadata of the authorization server, by OpenID Connect Discovery 1.0 or by RFC 8414."""
    at_oidc, at_oauth = _metadata_urls(issuer)
    try:
        return await _get(http, at_oidc)
    except _NotThere as first:
        try:
            return await _get(http, at_oauth)
        except _NotThere as second:
            raise _IssuerError(f"{first}, and {second}") from None


async def _get(http: httpx.AsyncClient, url: str) -> dict[str, Any]:
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    async with http.stream("GET", url, headers=headers) as response:
        if not response.is_success:
            kind = _NotThere if response.is_client_error else _IssuerError
            raise kind(f"the status at {sanitize(url, 200)} is {response.status_code}")
        body = bytearray()
        async for chunk in response.aiter_raw():  # as it is, so that nothing small becomes large
            body += chunk
            if len(body) > _MAX_BYTES:
                raise _IssuerError(f"{sanitize(url, 200)} is larger than {_MAX_BYTES >> 20} MiB")
    document: object = json.loads(body)
    if not is_object(document):
        raise _IssuerError(f"{sanitize(url, 200)} is not a JSON object")
    return document


def _metadata_urls(issuer: str) -> tuple[str, str]:
    parts = urlsplit(issuer.removesuffix("/"))
    at_oauth = parts._replace(path=f"/.well-known/oauth-authorization-server{parts.path}")
    return f"{issuer.removesuffix('/')}/.well-known/openid-configuration", urlunsplit(at_oauth)


def _usable_keys(jwks: dict[str, Any]) -> dict[tuple[str, str], jwt.PyJWK]:
    listed = jwks.get("keys")
    if not is_list(listed):
        raise _IssuerError("its jwks_uri has no list of keys")
    found = [_usable_key(key) for key in listed if is_object(key)]
    return {(str(key.key_id), key.algorithm_name): key for key in found if key is not None}


def _usable_key(jwk: dict[str, Any]) -> jwt.PyJWK | None:
    """A key that signs with one of the accepted algorithms."""
    curve = jwk.get("crv")
    algorithm = ALGORITHMS.get((str(jwk.get("kty")), curve if curve is None else str(curve)))
    if algorithm is None or jwk.get("alg", algorithm) != algorithm or jwk.get("use", "sig") != "sig":
        return None
    if not isinstance(jwk.get("kid"), str) or not jwk["kid"]:
        return None
    try:
        return jwt.PyJWK(jwk, algorithm)
    except jwt.PyJWTError:
        return None
