"""The ASGI application of the HTTP server: MCP behind access control, health endpoints and the access log."""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from urllib.parse import urlsplit

from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.request_state import RequestStateSecurity
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from sse_starlette.sse import AppStatus
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp

from ...tools.calls.mcp_internals import lifespan_of, lowlevel_server, sessions_of, skip_header_arguments
from ...tools.create_model.tool import CREATE_MODEL
from ..app import Observer, create_server
from ..importing import relax_gc
from ..logs import configure_logging
from ..settings import Settings
from . import tracing
from .access import Access, Credentials
from .access_log import AccessLog
from .gate import AccessMiddleware, BodyMiddleware, HostMiddleware
from .health import Health
from .settings import HttpSettings
from .uploads.links import Links
from .uploads.receive import Uploads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .oauth.resource_server import ResourceServer

_log = logging.getLogger(__name__)

_MAX_SESSIONS = 2_000
_SESSION_SECONDS = 600
_MAX_DIGITS = 640
"""Of an integer, the least that Python allows: the time to parse one grows with the square of its length."""


def create_app(settings: Settings, http: HttpSettings, credentials: Credentials) -> ASGIApp:
    """Create the application, in the process that serves it."""
    AppStatus.disable_automatic_graceful_drain()  # otherwise a signal would end open calls immediately
    configure_logging(settings.log_level, settings.secret_key)  # a worker process has not done so yet
    if tracing.is_wanted():
        tracing.set_up_tracing()
    links = Links([key.value for key in http.state_keys], http.public_url) if http.state_keys else None
    manager = _session_manager(settings, http, links)
    mcp = BodyMiddleware(AuthContextMiddleware(manager.handle_request))
    oauth = _resource_server(http)
    access = Access(http, credentials, oauth)
    endpoint = AccessMiddleware(mcp, access, None if http.stateless else partial(sessions_of, manager))
    health = Health(settings)
    routes = [
        Route(http.path, _with_cors(endpoint, http)),
        Route("/healthz", health.alive),
        Route("/readyz", health.ready),
        *_oauth_metadata_routes(http),
        *_upload_routes(settings, http, manager, links, access),
    ]
    app = Starlette(routes=routes, lifespan=_lifespan(manager, endpoint, oauth))
    app.router.redirect_slashes = False  # behind a proxy it would redirect from https to http, with the key
    relax_gc()
    sys.set_int_max_str_digits(_MAX_DIGITS)
    return AccessLog(app)


def _upload_routes(
    settings: Settings, http: HttpSettings, manager: StreamableHTTPSessionManager, links: Links | None, access: Access
) -> list[Route]:
    if links is None or not settings.offers(CREATE_MODEL.name, reads_only=False):
        return []
    uploads = Uploads(links, lambda: lifespan_of(manager), access.rate, http.largest_upload << 20)
    return _for_own_names(uploads.routes, http)


def _session_manager(settings: Settings, http: HttpSettings, links: Links | None) -> StreamableHTTPSessionManager:
    """The SDK's MCP endpoint for our server."""
    keys = [key.value for key in http.state_keys]
    server = create_server(
        settings,
        state_security=RequestStateSecurity(keys=keys) if keys else None,
        uploads_at_a_time=http.uploads_at_a_time,
        upload_links=links,
        observer=_observer(http),
    )
    skip_header_arguments(server)
    return StreamableHTTPSessionManager(
        lowlevel_server(server),
        stateless=http.stateless,
        max_sessions=_MAX_SESSIONS,
        session_idle_timeout=_SESSION_SECONDS,
        security_settings=TransportSecuritySettings(allowed_hosts=http.hosts, allowed_origins=http.origins),
    )


def _lifespan(
    manager: StreamableHTTPSessionManager, endpoint: AccessMiddleware, oauth: ResourceServer | None
) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(manager.run())
            if oauth is not None:
                await stack.enter_async_context(oauth.running())
            yield
            await endpoint.wait_until_empty()

    return lifespan


def _resource_server(http: HttpSettings) -> ResourceServer | None:
    if http.oauth is None:
        return None
    from .oauth.resource_server import ResourceServer

    return ResourceServer(http.oauth)


def _oauth_metadata_routes(http: HttpSettings) -> list[Route]:
    if http.oauth is None:
        return []
    from .oauth.metadata import metadata_routes

    path = urlsplit(http.oauth.resource).path.rstrip("/")
    if path != http.path.rstrip("/"):
        _log.warning(
            "By --oidc-audience clients find MCP at %s, and it is at %s: a proxy must map that", path, http.path
        )
    return _for_own_names(metadata_routes(http.oauth), http)


def _for_own_names(routes: list[Route], http: HttpSettings) -> list[Route]:
    for route in routes:
        route.app = HostMiddleware(route.app, http.hosts)
    return routes


def _with_cors(endpoint: ASGIApp, http: HttpSettings) -> ASGIApp:
    """The endpoint for web pages of the allowed origins."""
    if not http.allowed_origins:
        return endpoint
    return CORSMiddleware(
        endpoint,
        allow_origins=http.allowed_origins,
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["*"],
        expose_headers=["Mcp-Session-Id", "Mcp-Protocol-Version", "Retry-After", "WWW-Authenticate"],
    )


def _observer(http: HttpSettings) -> Observer | None:
    if http.metrics_port is None:
        return None
    from .metrics import Metrics, serve_metrics

    metrics = Metrics()
    if http.workers == 1:
        serve_metrics(http.metrics_port, http.metrics_host, metrics)
    return metrics
