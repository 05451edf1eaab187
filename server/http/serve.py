"""Serves over Streamable HTTP. Any number of processes can run behind a load balancer; they share no state."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import threading
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from multiprocessing import parent_process
from multiprocessing.process import BaseProcess

import uvicorn
from starlette.types import ASGIApp
from uvicorn.supervisors import Multiprocess

from ..settings import Settings, SettingsError
from .access import Credentials
from .app import create_app
from .deadlines import DeadlineProtocol
from .names import in_url
from .settings import HttpSettings

_log = logging.getLogger(__name__)

_GRACE_SECONDS = 10
_IDLE_SECONDS = 75
"""Longer than a proxy keeps its connections, so that the proxy closes them."""
_MAX_HEADER_BYTES = 16 * 1024
_MAX_CONNECTIONS = 2_000
_BACKLOG = 2_048


def serve_http(settings: Settings, http: HttpSettings) -> int:
    """Serve until SIGTERM (exit status 0) or SIGINT (130); open calls get ten seconds to finish."""
    config = uvicorn_config(settings, http)
    listening = listen(http.host, http.port)
    # Until uvicorn handles signals, and once more when it has stopped: it then raises the signal again.
    signal.signal(signal.SIGTERM, _exit)
    host, port = listening.getsockname()[:2]
    _log.warning("Serving on http://%s:%d%s", in_url(host), port, http.path)
    with listening:
        if http.workers > 1:
            with _metrics_of_workers(http):
                Multiprocess(config, [listening]).run()
        else:
            Server(config).run([listening])
    return 0


class Server(uvicorn.Server):
    """A server that ends without a loss to clients that connect meanwhile."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # The system has taken these, and would reset them with the listening socket.
        waiting = [connection for listening in sockets or () for connection in _accept_waiting(listening)]
        for server in self.servers:
            server.close()
        for connection in waiting:
            await asyncio.get_running_loop().connect_accepted_socket(self._create_protocol, connection)
        await super().shutdown(sockets)

    def _create_protocol(self) -> DeadlineProtocol:
        return DeadlineProtocol(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)


def _accept_waiting(listening: socket.socket) -> Iterator[socket.socket]:
    with suppress(BlockingIOError):
        while True:
            yield listening.accept()[0]


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


def _create_app(settings: Settings, http: HttpSettings, credentials: Credentials) -> ASGIApp:
    if (parent := parent_process()) is not None:
        threading.Thread(target=_end_after, args=[parent], name="parent", daemon=True).start()
    return create_app(settings, http, credentials)


def _end_after(parent: BaseProcess) -> None:
    """Ends a worker process whose parent was killed: nobody would, and it would keep the port."""
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


def _exit(_number: int, _frame: object) -> None:
    raise SystemExit(0)


def uvicorn_config(settings: Settings, http: HttpSettings) -> uvicorn.Config:
    """The configuration of uvicorn, with a factory for the application.

    Raises:
        SettingsError: a file of callers cannot be used, or the URL of an option.
    """
    if http.oauth is not None:
        from .oauth.metadata import metadata_routes

        metadata_routes(http.oauth)  # raises now what worker processes could only log
    # Read only once: a worker process that is restarted while a file is missing uses what it has listed.
    credentials = Credentials.load(http)
    return uvicorn.Config(
        partial(_create_app, settings, http, credentials),
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
