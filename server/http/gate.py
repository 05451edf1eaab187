"""What every HTTP request passes before MCP sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import anyio
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...tools.calls.services import CALLER, Caller
from .access import Access, Refusal

MAX_SESSIONS_OF_CALLER = 50
_TOO_MANY_SESSIONS = "This caller has as many sessions as one may have. End some, or come again in ten minutes."
MAX_BODY_BYTES = 4 * 1024 * 1024
BODY_SECONDS = 30.0
_LAST_SECONDS = 2.0
_ENDING = (
    "This server is ending. What became of the call stands in its log. create_model can be called again with the same "
    "name; before repeating another call that changes something, see with find_models what it did."
)
_TOO_LARGE = f"A request holds {MAX_BODY_BYTES >> 20} MiB at the most. Larger data has to come from a file."


class AccessMiddleware:
    """Lets in who may call. MCP sees the caller as the user, whose sessions and questions are nobody else's."""

    def __init__(self, app: ASGIApp, access: Access, sessions_of: Callable[[Caller], int]) -> None:
        self._app = app
        self._access = access
        self._sessions_of = sessions_of
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        admitted = self._access.authenticate(Headers(scope=scope), scope["query_string"])
        if isinstance(admitted, Refusal):
            await refuse(admitted.status, admitted.message, admitted.headers)(scope, receive, send)
            return
        if _opens_session(scope) and self._sessions_of(admitted) >= MAX_SESSIONS_OF_CALLER:
            await refuse(429, _TOO_MANY_SESSIONS, {"Retry-After": "600"})(scope, receive, send)
            return
        scope[CALLER] = admitted
        scope["user"] = AuthenticatedUser(AccessToken(token="", client_id=admitted.name, scopes=[]))
        self._open += 1
        try:
            await _reply_on_shutdown(self._app, scope, receive, send)
        finally:
            self._open -= 1

    async def wait_until_empty(self) -> None:
        """For a moment: what was cut off has to tell the log what became of it."""
        with anyio.move_on_after(_LAST_SECONDS):
            while self._open:  # noqa: ASYNC110 - an event for this moment alone is not worth its state
                await anyio.sleep(0.01)


def _opens_session(scope: Scope) -> bool:
    """As far as its head tells: a request that has no session yet, of a protocol that has sessions."""
    headers = Headers(scope=scope)
    version = headers.get("mcp-protocol-version")
    return "mcp-session-id" not in headers and (version is None or version in HANDSHAKE_PROTOCOL_VERSIONS)


async def _reply_on_shutdown(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """A request is only cancelled from outside when it has outlasted the time that the end of the server leaves."""
    begun = False

    async def watch(message: Message) -> None:
        nonlocal begun
        begun = True
        await send(message)

    try:
        await app(scope, receive, watch)
    except anyio.get_cancelled_exc_class():
        if not begun:
            await refuse(503, _ENDING)(scope, receive, send)


class BodyMiddleware:
    """Reads a body within its limits, and only then hands the request on."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with anyio.fail_after(BODY_SECONDS):
                body = await _read(receive, Headers(scope=scope).get("content-length", ""))
        except TimeoutError:
            await refuse(408, "The request did not come whole in time.")(scope, receive, send)
            return
        if body is None:
            await refuse(413, _TOO_LARGE)(scope, receive, send)
            return
        first: list[Message] = [body]

        async def replay() -> Message:
            return first.pop() if first else await receive()

        await self._app(scope, replay, send)


async def _read(receive: Receive, announced: str) -> Message | None:
    """The body as one message, or what came instead; None when it is too large."""
    if announced.isdigit() and int(announced) > MAX_BODY_BYTES:
        return None
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return message
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            return None
        if not message.get("more_body", False):
            return {"type": "http.request", "body": bytes(body), "more_body": False}


def refuse(status: int, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """As a JSON-RPC error, which clients show. Its code is the status: those of JSON-RPC mean other things."""
    error: dict[str, Any] = {"jsonrpc": "2.0", "id": None, "error": {"code": status, "message": message}}
    return JSONResponse(error, status, {**(headers or {}), "Connection": "close"} if status == 413 else headers)
