"""Requirements of MCP that the SDK does not enforce: error codes, and messages that can be encoded."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Any

from mcp.server import MCPServer
from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS
from pydantic import ValidationError

from ..tools.results.text import log_crash, sanitize, utf8_safe

_log = logging.getLogger(__name__)
LIST_METHODS = ("tools/list", "prompts/list", "resources/list", "resources/templates/list")


def protocol_middleware(server: MCPServer[Any], tools: Collection[str]) -> ServerMiddleware[Any]:
    """Middleware that refuses unknown names and cursors with -32602, and crashes with -32603, without their message.

    It also replaces what JSON in UTF-8 cannot encode, since one such character would end a stdio connection.
    """

    async def middleware(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        try:
            await _refuse_unknown(ctx, tools, server)
            return utf8_safe(await call_next(ctx))
        except MCPError as error:
            raise MCPError(
                code=error.error.code,
                message=utf8_safe(error.error.message),
                data=utf8_safe(error.error.data),
            ) from None
        except ValidationError:
            raise  # the SDK returns -32602 without its message
        except Exception as error:
            log_crash(_log, ctx.method, error)
            raise MCPError(code=INTERNAL_ERROR, message="Internal server error") from None

    return middleware


async def _refuse_unknown(
    context: ServerRequestContext[Any, Any], tools: Collection[str], server: MCPServer[Any]
) -> None:
    params = context.params or {}
    name = params.get("name")
    if context.method in LIST_METHODS and params.get("cursor") is not None:
        raise _invalid("Unknown cursor. Every list is sent in one page.")
    if context.method == "tools/call" and isinstance(name, str) and name not in tools:
        raise _invalid(f"Unknown tool {sanitize(name, 100)!r}. Available: {', '.join(tools)}.")
    if context.method == "prompts/get" and isinstance(name, str):
        prompts = {prompt.name: prompt for prompt in await server.list_prompts()}
        if name not in prompts:
            raise _invalid(f"Unknown prompt {sanitize(name, 100)!r}. Available: {', '.join(prompts)}.")
        given: dict[str, Any] = params.get("arguments") or {}
        missing = [a.name for a in prompts[name].arguments or [] if a.required and a.name not in given]
        if missing:
            raise _invalid(f"The prompt needs the arguments {', '.join(missing)}.")


def _invalid(message: str) -> MCPError:
    return MCPError(code=INVALID_PARAMS, message=message)
