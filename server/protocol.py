"""Requirements of MCP that the SDK does not enforce: error codes, and messages that can be encoded."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Mapping
from typing import Any

from mcp.server import MCPServer
from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS, PromptArgument
from pydantic import ValidationError

from ..tools.decthings.json_codec import is_object
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
        except ValidationError as error:
            raise _invalid(_explain(ctx.method, error)) from None
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
    if context.method == "prompts/get":
        _check_prompt(params, await _prompts(server))
    if context.method == "completion/complete":
        await _check_completion(params, server)


async def _prompts(server: MCPServer[Any]) -> dict[str, list[PromptArgument]]:
    """The arguments of each prompt."""
    return {prompt.name: prompt.arguments or [] for prompt in await server.list_prompts()}


def _check_prompt(params: Mapping[str, Any], prompts: Mapping[str, list[PromptArgument]]) -> None:
    name, given = params.get("name"), params.get("arguments")
    if not isinstance(name, str) or not (given is None or is_object(given)):
        return  # the SDK refuses them
    if name not in prompts:
        raise _invalid(f"Unknown prompt {sanitize(name, 100)!r}. Available: {', '.join(prompts)}.")
    given = given or {}
    if missing := [argument.name for argument in prompts[name] if argument.required and argument.name not in given]:
        raise _invalid(f"The prompt needs the arguments {', '.join(missing)}.")
    known = [argument.name for argument in prompts[name]]
    if unknown := [sanitize(argument, 100) for argument in given if argument not in known]:
        raise _invalid(f"The prompt has no arguments {', '.join(unknown)}. Available: {', '.join(known)}.")


async def _check_completion(params: Mapping[str, Any], server: MCPServer[Any]) -> None:
    reference, argument = params.get("ref"), params.get("argument")
    if not is_object(reference) or not is_object(argument):
        return  # the SDK refuses them
    if reference.get("type") == "ref/prompt":
        known = {
            name: [argument.name for argument in arguments] for name, arguments in (await _prompts(server)).items()
        }
        referred, name = reference.get("name"), argument.get("name")
    else:
        templates = [template.uri_template for template in await server.list_resource_templates()]
        known = {template: re.findall(r"\{(\w+)\}", template) for template in templates}
        referred, name = reference.get("uri"), argument.get("name")
    if isinstance(referred, str) and isinstance(name, str) and name not in known.get(referred, ()):
        available = "; ".join(f"{', '.join(names)} of {of}" for of, names in known.items())
        raise _invalid(
            f"There is no argument {sanitize(name, 100)!r} of {sanitize(referred, 100)!r}. Available: {available}."
        )


def _explain(method: str, error: ValidationError) -> str:
    """A sentence on the first parameter that is wrong, without its value."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = sanitize(".".join(map(str, first["loc"])), 100)
    problem = re.sub("a valid dictionary.*", "an object", first["msg"])
    return f"Invalid parameters of {method}: {where or 'params'}: {problem}."


def _invalid(message: str) -> MCPError:
    return MCPError(code=INVALID_PARAMS, message=message)
