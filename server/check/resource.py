"""The resource decthings://check, for an assistant whose user says that it does not work."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from mcp.server import MCPServer
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

from ...tools.calls.services import Services, services_of_request
from ..settings import Settings

CHECK_URI = "decthings://check"
_DESCRIPTION = (
    "Whether this server works, and what to do where it does not: version, API key, connection to Decthings, "
    "folders. Read it when the user says that something does not work."
)


def add_check(server: MCPServer[Services], settings: Settings) -> None:
    """Add the resource. Callers on other machines see what concerns them, and nothing of the operator's machine."""
    current: ContextVar[ServerRequestContext[Any, Any]] = ContextVar("decthings_check_request")

    async def remember(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Keeps the request, since the SDK hands none to a resource without parameters."""
        if ctx.method == "resources/read":
            current.set(ctx)
        return await call_next(ctx)

    async def check() -> str:
        from .checks import CHECKS  # imported when it is read, to keep the start short
        from .run import report_on, report_to_caller

        if settings.remote_callers:
            services = services_of_request(current.get())
            return (await report_to_caller(services, brings_key=settings.callers_bring_keys)).as_json()
        return (await report_on(settings, CHECKS)).as_json()

    server.middleware.append(remember)
    server.resource(
        CHECK_URI, name="check", title="Does it work?", description=_DESCRIPTION, mime_type="application/json"
    )(check)
