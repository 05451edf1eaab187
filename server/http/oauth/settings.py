"""The settings of sign-in: whose access tokens are accepted, and for what. Light, as all settings are."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from ...settings import SettingsError, is_loopback

DEFAULT_NAME_CLAIM = "sub"


class OAuthSettings(NamedTuple):
    issuer: str
    """Exactly as tokens and the metadata of the authorization server have it."""
    audiences: Sequence[str]
    """The values of `aud` that are accepted. The first is the URL of this server, its resource identifier."""
    scope: str | None = None
    name_claim: str = DEFAULT_NAME_CLAIM

    @property
    def resource(self) -> str:
        return self.audiences[0]

    @classmethod
    def load(cls, options: Namespace) -> OAuthSettings | None:
        """Settings from a parsed command line; None if callers do not sign in.

        Raises:
            SettingsError: an option has an invalid value, or is missing.
        """
        issuer, audiences = options.oidc_issuer, options.oidc_audiences
        if issuer is None:
            if audiences or options.oidc_scope or options.oidc_name_claim:
                raise SettingsError("--oidc-audience, --oidc-scope and --oidc-name-claim need --oidc-issuer.")
            return None
        if not audiences:
            raise SettingsError(
                "--oidc-issuer needs --oidc-audience: the URL by which clients reach this server, for example "
                "https://mcp.example.com/mcp. Without it, a token for any other application would be accepted."
            )
        _check_url("--oidc-issuer", issuer)
        _check_url("The first --oidc-audience", audiences[0])
        if not all(audiences):
            raise SettingsError("--oidc-audience must not be empty.")
        if not _is_scope(options.oidc_scope):
            raise SettingsError("--oidc-scope is one name without spaces.")
        return cls(issuer, audiences, options.oidc_scope, options.oidc_name_claim or DEFAULT_NAME_CLAIM)


def _is_scope(scope: str | None) -> bool:
    """Whether it is a scope token of RFC 6749, or none is required."""
    return scope is None or (scope != "" and all("!" <= char <= "~" and char not in '"\\' for char in scope))


def _check_url(option: str, url: str) -> None:
    if not is_safe_url(url):
        raise SettingsError(
            f"{option} must be an https URL without a query, a fragment and credentials, or an http URL of this "
            "machine's loopback addresses."
        )


def is_safe_url(url: str, *, query: bool = False) -> bool:
    """Whether what comes from this URL can be trusted to come from its host: https, or http on loopback."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # raises ValueError when it is no number
    except ValueError:
        return False
    if not host or not url.isascii() or not url.isprintable() or any(char in url for char in '"\\ <>'):
        return False
    if "#" in url or parts.username is not None or ("?" in url and not query):
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))
