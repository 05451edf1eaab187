"""ASGI middleware before MCP: authentication, limits on sessions and bodies, responses on shutdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, nullcontext

import anyio
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...tools.calls.services import CALLER, Caller
from .access import Access
from .names import is_host_header, normalized_host
from .refusal import Refusal

MAX_SESSIONS_OF_CALLER = 50
MAX_BODIES_OF_CALLER = 500
"""Requests whose body has not arrived: a quarter of all connections, so that one caller cannot hold them all."""
_TOO_MANY_SESSIONS = "Too many sessions for this caller; close some or retry in ten minutes."
MAX_BODY_BYTES = 4 * 1024 * 1024
MAX_VALUES = 100_000
"""Parsing JSON blocks the event loop, and how long depends on the number of values more than on their size."""
BODY_SECONDS = 30.0
_LAST_SECONDS = 2.0
_TOO_MANY_BODIES = (
    "Too many requests of this caller are being received; nothing was done. Wait 1 s, then repeat the call."
)
_SHUTTING_DOWN = (
    "This server is shutting down; the outcome is in its log. create_model can be called again with the same name; "
    "before you repeat another call that changes something, check with find_models what it did."
)
_TOO_LARGE = f"A request may have at most {MAX_BODY_BYTES >> 20} MiB. Larger data must come from a file."
_TOO_MANY_VALUES = (
    f"A request may have at most {MAX_VALUES:,} values, counted by its commas and brackets. "
    "Larger data must come from a file."
)


class _Counts(Counter[str]):
    """How many of something are in progress, by the name of the caller."""

    @contextmanager
    def one_more(self, caller: Caller) -> Generator[None]:
        self[caller.name] += 1
        try:
            yield
        finally:
            self[caller.name] -= 1
            if not self[caller.name]:
                del self[caller.name]


class AccessMiddleware:
    """Admits authenticated callers. MCP sees the caller as its user, so that no other caller can use its sessions."""

    def __init__(self, app: ASGIApp, access: Access, sessions_of: Callable[[str], int] | None) -> None:
        """Wraps `app`.

        Args:
            sessions_of: how many sessions a caller has, by its name; None where there are no sessions.
        """
        self._app = app
        self._access = access
        self._sessions_of = sessions_of
        self._open = 0
        self._opening = _Counts()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            scope["headers"] = _normalized(scope)
            caller = await self._access.authenticate(Headers(scope=scope), scope["query_string"])
            opens_session = self._sessions_of is not None and _opens_session(scope)
            if opens_session and self._sessions(caller) >= MAX_SESSIONS_OF_CALLER:
                raise Refusal(429, _TOO_MANY_SESSIONS, {"Retry-After": "600"})
        except Refusal as refusal:
            await _response(refusal)(scope, receive, send)
            return
        scope[CALLER] = caller
        scope["user"] = AuthenticatedUser(AccessToken(token="", client_id=caller.name, scopes=[]))
        self._open += 1
        try:
            with self._opening.one_more(caller) if opens_session else nullcontext():
                await _reply_on_shutdown(self._app, scope, receive, send)
        finally:
            self._open -= 1

    def _sessions(self, caller: Caller) -> int:
        """Those that are open, and those that requests in progress may open: a body can come long after its head."""
        return (self._sessions_of(caller.name) if self._sessions_of else 0) + self._opening[caller.name]

    async def wait_until_empty(self) -> None:
        """Wait a moment for cancelled calls, which log their outcome."""
        with anyio.move_on_after(_LAST_SECONDS):
            while self._open:  # noqa: ASYNC110 - simpler than an event that is only used here
                await anyio.sleep(0.01)


def _normalized(scope: Scope) -> list[tuple[bytes, bytes]]:
    """The headers, with the host in its normal form: the SDK compares letter by letter.

    Raises:
        Refusal: the host is no name.
    """
    headers: list[tuple[bytes, bytes]] = []
    for name, value in scope["headers"]:
        host = normalized_host(value.decode("latin-1")) if name == b"host" else ""
        if name == b"host" and not is_host_header(host):
            raise Refusal(421, "The Host header is not a name of this server.")
        headers.append((name, host.encode() or value))
    return headers


def _opens_session(scope: Scope) -> bool:
    """Whether the request has no session yet, in a protocol version with sessions; judged by its headers only."""
    headers = Headers(scope=scope)
    version = headers.get("mcp-protocol-version")
    return "mcp-session-id" not in headers and (version is None or version in HANDSHAKE_PROTOCOL_VERSIONS)


async def _reply_on_shutdown(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Send a response for a request that is cancelled, since that happens only when the grace period has ended."""
    started = False

    async def watch(message: Message) -> None:
        nonlocal started
        started = True
        await send(message)

    try:
        await app(scope, receive, watch)
    except anyio.get_cancelled_exc_class():
        if not started:
            await _response(Refusal(503, _SHUTTING_DOWN))(scope, receive, send)


class HostMiddleware:
    """Admits requests for this server's names, without authentication and from any web page: for public documents."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str]) -> None:
        self._app = app
        settings = TransportSecuritySettings(allowed_hosts=list(hosts), allowed_origins=["https:*", "http:*"])
        self._security = TransportSecurityMiddleware(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            scope["headers"] = _normalized(scope)
        except Refusal as refusal:
            await _response(refusal)(scope, receive, send)
            return
        refused = await self._security.validate_request(Request(scope))
        await (refused or self._app)(scope, receive, send)


class BodyMiddleware:
    """Reads the whole body, within limits of size and time, before it passes the request on."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._receiving = _Counts()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller: Caller = scope[CALLER]
        try:
            if self._receiving[caller.name] >= MAX_BODIES_OF_CALLER:
                raise Refusal(429, _TOO_MANY_BODIES, {"Retry-After": "1", "Connection": "close"})
            with self._receiving.one_more(caller):
                body = await _read_in_time(receive, Headers(scope=scope).get("content-length", ""))
        except Refusal as refusal:
            await _response(refusal)(scope, receive, send)
            return
        first: list[Message] = [body]

        async def replay() -> Message:
            return first.pop() if first else await receive()

        await self._app(scope, replay, send)


async def _read_in_time(receive: Receive, content_length: str) -> Message:
    try:
        with anyio.fail_after(BODY_SECONDS):
            return await _read(receive, content_length)
    except TimeoutError:
        raise Refusal(408, "The request body was not received in time.") from None


async def _read(receive: Receive, content_length: str) -> Message:
    """The body as one message, or the message that arrived instead of it."""
    if content_length.isdigit() and int(content_length) > MAX_BODY_BYTES:
        raise Refusal(413, _TOO_LARGE, {"Connection": "close"})
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return message
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise Refusal(413, _TOO_LARGE, {"Connection": "close"})
        if not message.get("more_body", False):
            if len(body) > MAX_VALUES and sum(map(body.count, (b",", b"[", b"{"))) > MAX_VALUES:
                raise Refusal(413, _TOO_MANY_VALUES)
            return {"type": "http.request", "body": bytes(body), "more_body": False}


def _response(refusal: Refusal) -> JSONResponse:
    """A refusal as a JSON-RPC error, which clients show. Its code is the HTTP status, since no JSON-RPC code fits."""
    error = {"code": refusal.status, "message": str(refusal)}
    return JSONResponse({"jsonrpc": "2.0", "id": None, "error": error}, refusal.status, refusal.headers)
