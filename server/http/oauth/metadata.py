"""Protected resource metadata (RFC 9728): what tells a client where to sign in."""

from __future__ import annotations

from mcp.server.auth.routes import build_resource_metadata_url, create_protected_resource_routes
from pydantic import AnyHttpUrl, ConfigDict, TypeAdapter
from starlette.routing import Route

from ...settings import SettingsError
from .settings import OAuthSettings

_ROOT = "/.well-known/oauth-protected-resource"
_EXACT_URL = TypeAdapter(AnyHttpUrl, config=ConfigDict(url_preserve_empty_path=True))
"""Without it, a slash is added to a URL that is only a host; identifiers are compared character by character."""


def metadata_url(resource: str) -> str:
    return str(build_resource_metadata_url(_exact_url(resource)))


def metadata_routes(settings: OAuthSettings) -> list[Route]:
    """At the place for this resource, and at the root, where clients look next. Any web page may read it.

    Raises:
        SettingsError: a URL is not in its normal form.
    """
    routes = create_protected_resource_routes(
        _exact_url(settings.resource),
        [_exact_url(settings.issuer)],
        scopes_supported=None if settings.scope is None else [settings.scope],
        resource_name="Decthings",
    )
    return [*routes, *(Route(_ROOT, route.app, methods=["GET", "OPTIONS"]) for route in routes if route.path != _ROOT)]


def _exact_url(url: str) -> AnyHttpUrl:
    exact = _EXACT_URL.validate_python(url)
    if str(exact) != url:
        raise SettingsError(f"A URL must be in its normal form: {str(exact)!r} instead of {url!r}.")
    return exact
