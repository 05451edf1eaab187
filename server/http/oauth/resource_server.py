"""Who sent an access token: its signature, issuer, audience, times and scope are checked here.

    401   there is no token, or one that is not accepted: WWW-Authenticate says where to sign in
    403   the token lacks the scope, or does not name its owner
    503   the authorization server cannot be reached, and its keys are not known

Sources: RFC 6750 (the responses), RFC 8725 and RFC 9068 (the checks), the authorization page of MCP.
"""

from __future__ import annotations

import logging
from contextlib import AbstractAsyncContextManager
from typing import Any

import jwt

from ....tools.decthings.json_codec import is_list
from ....tools.results.text import sanitize
from ..refusal import Refusal
from .metadata import metadata_url
from .settings import OAuthSettings
from .signing_keys import ALGORITHMS, SigningKeys

_log = logging.getLogger(__name__)

_LEEWAY_SECONDS = 30
"""By how much the clocks of the authorization server and of this server may differ."""
_SIGN_IN_FIRST = (
    "This server needs an access token. Clients that support OAuth sign in by themselves; WWW-Authenticate says where."
)
_MAX_NAME_CHARACTERS = 255
_OPTIONS: Any = {
    "require": ["exp", "iss", "aud"],
    "enforce_minimum_key_length": True,
    "verify_sub": False,  # the name may be another claim, and is checked as such
    "verify_jti": False,
}
_REASONS: dict[type[jwt.PyJWTError], str] = {
    jwt.ExpiredSignatureError: "has expired",
    jwt.ImmatureSignatureError: "is not valid yet",
    jwt.InvalidAudienceError: "is for another audience",
    jwt.InvalidIssuerError: "is from another issuer",
    jwt.InvalidAlgorithmError: "has an algorithm that is not accepted",
    jwt.MissingRequiredClaimError: "lacks a claim: exp, iss and aud are required",
}

_CORRECTABLE: dict[type[jwt.PyJWTError], str] = {jwt.InvalidAudienceError: "aud", jwt.InvalidIssuerError: "iss"}


class ResourceServer:
    """Identifies callers by the access tokens of one authorization server."""

    def __init__(self, settings: OAuthSettings) -> None:
        self._settings = settings
        self._keys = SigningKeys(settings.issuer)
        self._where = f'resource_metadata="{metadata_url(settings.resource)}"'
        if settings.scope is not None:
            self._where += f', scope="{settings.scope}"'

    def running(self) -> AbstractAsyncContextManager[None]:
        """While the server serves: keeps the keys of the authorization server current."""
        return self._keys.kept_current()

    async def caller_of(self, token: str) -> str:
        """The name of the token's owner.

        Raises:
            Refusal: the token is not accepted.
        """
        if not token:
            raise Refusal(401, _SIGN_IN_FIRST, {"WWW-Authenticate": f"Bearer {self._where}"})
        claims = await self._claims(token)
        if not self._has_scope(claims):
            raise self._challenge(403, "insufficient_scope", f"The access token lacks the scope {self._settings.scope}")
        return self._name(claims)

    async def _claims(self, token: str) -> dict[str, Any]:
        key = await self._key_of(token)
        try:
            return jwt.decode(
                token,
                key,
                [key.algorithm_name],
                audience=self._settings.audiences,
                issuer=self._settings.issuer,
                leeway=_LEEWAY_SECONDS,
                options=_OPTIONS,
            )
        except jwt.PyJWTError as error:
            _log_what_is_wrong(token, error)
            raise self._invalid(_REASONS.get(type(error), "is not valid")) from None

    async def _key_of(self, token: str) -> jwt.PyJWK:
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            raise self._invalid("is neither a signed JWT nor a token of this server") from None
        kid, algorithm = header.get("kid"), header.get("alg")
        if algorithm not in ALGORITHMS.values():
            raise self._invalid("has an algorithm that is not accepted")
        key = await self._keys.find(kid, str(algorithm)) if kid else None
        if key is None:
            raise self._invalid("is signed with an unknown key")
        return key

    def _has_scope(self, claims: dict[str, Any]) -> bool:
        """Whether the required scope is in `scope`, a string (RFC 9068), or in `scp`, a string or an array."""
        required = self._settings.scope
        if required is None:
            return True
        scope, scp = claims.get("scope"), claims.get("scp")
        granted = [*(scope.split() if isinstance(scope, str) else ()), *(scp if is_list(scp) else ())]
        # Entra ID leaves out the application that clients put before the scope: its audience says which one it is.
        of_application = scp.split() if isinstance(scp, str) else []
        return required in (*granted, *of_application) or required.rpartition("/")[2] in of_application

    def _name(self, claims: dict[str, Any]) -> str:
        name = claims.get(self._settings.name_claim)
        if not isinstance(name, str) or not 0 < len(name) <= _MAX_NAME_CHARACTERS or not name.isprintable():
            _log.warning("Refused an access token: its claim %s is no name", self._settings.name_claim)
            raise Refusal(
                403,
                f"The access token does not name its owner: its claim {self._settings.name_claim} must be a string of "
                f"1 to {_MAX_NAME_CHARACTERS} printable characters. Ask the operator of this server to set "
                "--oidc-name-claim to a claim that it has.",
            )
        return name

    def _invalid(self, reason: str) -> Refusal:
        return self._challenge(401, "invalid_token", f"The access token {reason}")

    def _challenge(self, status: int, error: str, description: str) -> Refusal:
        """A refusal after which the client signs in again. The description has no quotes."""
        _log.info("Refused a request: %s", description)
        challenge = f'Bearer error="{error}", error_description="{description}", {self._where}'
        message = f"{description}. Sign in again; if that does not help, ask the operator of this server."
        return Refusal(status, message, {"WWW-Authenticate": challenge})


def _log_what_is_wrong(token: str, error: jwt.PyJWTError) -> None:
    """Log what the operator can correct: the audience or the issuer of tokens with a valid signature."""
    claim = _CORRECTABLE.get(type(error))
    if isinstance(error, jwt.MissingRequiredClaimError):
        _log.warning("Refused an access token: it has no claim %s", error.claim)
    elif claim is not None:
        found = jwt.decode(token, options={"verify_signature": False})[claim]
        _log.warning("Refused an access token: its claim %s is %s", claim, sanitize(repr(found), 200))
