"""The access log: a JSON line on stderr for each HTTP request, with caller, status and duration."""

from __future__ import annotations

import json
from collections.abc import MutableMapping
from datetime import UTC, datetime
from http import HTTPStatus
from time import perf_counter
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...tools.calls.services import CALLER
from ...tools.results.text import sanitize
from ..logs import STDERR

_MAX_TEXT = 100
_PROBES = ("GET /healthz", "GET /readyz")
"""Probes arrive every few seconds; only failed ones are logged."""


class AccessLog:
    """ASGI middleware that logs requests, without their query, headers and body, except MCP's own headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        started, status, sent = perf_counter(), 0, 0

        async def watch(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
            sent += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            _write(_line(scope, status, sent, round(perf_counter() - started, 4)))


def _write(line: dict[str, Any]) -> None:
    if line["status"] == HTTPStatus.OK and line["request"] in _PROBES:
        return
    STDERR.write(json.dumps(line) + "\n")


def _line(scope: MutableMapping[str, Any], status: int, sent: int, seconds: float) -> dict[str, Any]:
    """The log line; `status` is 0 if the client disconnected before the response."""
    headers, caller = Headers(scope=scope), scope.get(CALLER)
    mcp_headers = {name: headers.get(f"mcp-{name}") for name in ("method", "name")}
    return {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "client": (scope.get("client") or ("",))[0],
        "caller": None if caller is None else caller.name,
        "request": f"{scope['method']} {sanitize(scope['path'].partition('?')[0], _MAX_TEXT)}",
        **{name: sanitize(value, _MAX_TEXT) for name, value in mcp_headers.items() if value},
        "status": status,
        "bytes": sent,
        "seconds": seconds,
    }
