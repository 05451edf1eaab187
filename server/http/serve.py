"""Serves over Streamable HTTP. Any number of processes can run behind a load balancer; they share no state."""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial

import uvicorn
from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.request_state import RequestStateSecurity
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from sse_starlette.sse import AppStatus
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp
from uvicorn.supervisors import Multiprocess

from ...tools.calls.services import Caller
from ..app import Observer, create_server
from ..importing import relax_gc
from ..logs import configure_logging
from ..settings import Settings, SettingsError
from . import tracing
from .access import Access, Tokens
from .access_log import AccessLog
from .deadlines import DeadlineProtocol
from .gate import AccessMiddleware, BodyMiddleware
from .health import Health
from .settings import HttpSettings

_log = logging.getLogger(__name__)

_GRACE_SECONDS = 10
_IDLE_SECONDS = 75
"""Longer than a proxy keeps its connections, so that the proxy closes them."""
_MAX_HEADER_BYTES = 16 * 1024
_MAX_CONNECTIONS = 2_000
_MAX_SESSIONS = 2_000
_SESSION_SECONDS = 600
_BACKLOG = 2_048


def serve_http(settings: Settings, http: HttpSettings) -> int:
    """Serve until SIGTERM (exit status 0) or SIGINT (130); open calls get ten seconds to finish."""
    config = uvicorn_config(settings, http)
    listening = listen(http.host, http.port)
    # uvicorn raises the signal that stopped it again.
    signal.signal(signal.SIGTERM, _ignore_signal)
    host, port = listening.getsockname()[:2]
    _log.warning("Serving on http://%s:%d%s", f"[{host}]" if ":" in host else host, port, http.path)
    with listening:
        if http.workers > 1:
            with _metrics_of_workers(http):
                Multiprocess(config, [listening]).run()
        else:
            uvicorn.Server(config).run([listening])
    return 0


def listen(host: str, port: int) -> socket.socket:
    """Open the listening socket.

    Raises:
        SettingsError: it is not possible to listen on this address.
    """
    with ExitStack() as stack:
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            # With the protocol: asyncio disables Nagle's algorithm only on sockets that it knows are TCP.
            listening = stack.enter_context(socket.socket(family, kind, protocol))
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(_BACKLOG)  # clients can connect from here on, and are served a moment later
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno and error.errno > 0 else "unknown address"
            raise SettingsError(f"Cannot listen on {host}:{port}: {reason}.") from None
        listening.set_inheritable(True)  # by worker processes
        stack.pop_all()
        return listening


@contextmanager
def _metrics_of_workers(http: HttpSettings) -> Generator[None]:
    if http.metrics_port is None:
        yield
        return
    from .metrics import serve_metrics, shared_between_processes

    with shared_between_processes():
        serve_metrics(http.metrics_port, http.metrics_host, None)
        yield


def _ignore_signal(_number: int, _frame: object) -> None:
    pass


def uvicorn_config(settings: Settings, http: HttpSettings) -> uvicorn.Config:
    """The configuration of uvicorn, with a factory for the application.

    Raises:
        SettingsError: the token file cannot be used.
    """
    # Read only once: a worker process that is restarted while the file is missing uses these tokens.
    tokens = None if http.token_file is None else Tokens(http.token_file)
    return uvicorn.Config(
        partial(create_app, settings, http, tokens),
        factory=True,
        host=http.host,
        port=http.port,
        workers=http.workers,
        http=DeadlineProtocol,
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(http.trusted_proxies),
        forwarded_allow_ips=list(http.trusted_proxies),
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        limit_concurrency=_MAX_CONNECTIONS,
        h11_max_incomplete_event_size=_MAX_HEADER_BYTES,
    )


def create_app(settings: Settings, http: HttpSettings, tokens: Tokens | None) -> ASGIApp:
    """The ASGI application: MCP behind access control, and the health endpoints."""
    AppStatus.disable_automatic_graceful_drain()  # otherwise a signal would end open calls immediately
    configure_logging(settings.log_level, settings.secret_key)  # a worker process has not done so yet
    if tracing.is_wanted():
        tracing.set_up_tracing()
    keys = [key.value for key in http.state_keys]
    server = create_server(
        settings,
        state_security=RequestStateSecurity(keys=keys) if keys else None,
        uploads_at_a_time=http.uploads_at_a_time,
        observer=_metrics(http),
    )
    lowlevel = server._lowlevel_server  # pyright: ignore[reportPrivateUsage]
    lowlevel.get_tool_input_schema = _without_headers
    security = TransportSecuritySettings(allowed_hosts=http.hosts, allowed_origins=http.origins)
    manager = StreamableHTTPSessionManager(
        lowlevel,
        stateless=http.stateless,
        max_sessions=_MAX_SESSIONS,
        session_idle_timeout=_SESSION_SECONDS,
        security_settings=security,
    )
    gate = AccessMiddleware(
        BodyMiddleware(AuthContextMiddleware(manager.handle_request)), Access(http, tokens), _sessions_of(manager)
    )
    health = Health(settings)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        async with manager.run():
            yield
            await gate.wait_until_empty()

    endpoint: ASGIApp = gate
    if http.allowed_origins:
        endpoint = CORSMiddleware(
            endpoint,
            allow_origins=http.allowed_origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["*"],
            expose_headers=["Mcp-Session-Id", "Mcp-Protocol-Version", "Retry-After"],
        )
    routes = [
        Route(http.path, endpoint),
        Route("/healthz", health.alive),
        Route("/readyz", health.ready),
    ]
    app = Starlette(routes=routes, lifespan=lifespan)
    app.router.redirect_slashes = False  # behind a proxy it would redirect from https to http, with the key
    relax_gc()
    return AccessLog(app)


def _sessions_of(manager: StreamableHTTPSessionManager) -> Callable[[Caller], int]:
    """A function that returns the number of sessions of a caller."""
    owners = manager._session_owners  # pyright: ignore[reportPrivateUsage]
    return lambda caller: sum(owner["client_id"] == caller.name for owner in owners.values())


def _without_headers(_tool: str) -> None:
    """No tool has arguments in headers, so their schemas need not be searched for them in every call."""


def _metrics(http: HttpSettings) -> Observer | None:
    if http.metrics_port is None:
        return None
    from .metrics import Metrics, serve_metrics

    metrics = Metrics()
    if http.workers == 1:
        serve_metrics(http.metrics_port, http.metrics_host, metrics)
    return metrics
