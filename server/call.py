"""The `call` command: one tool call from a shell, through an MCP client."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import anyio
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult

from ..tools.decthings.json_codec import is_object
from .app import create_server
from .settings import Settings


def call_tool(settings: Settings, tool: str, arguments: str) -> int:
    """Call a tool and print its structured result.

    Args:
        arguments: a JSON object, @FILE to read it from a file, or - to read it from stdin.

    Returns:
        0, or 1 when the call failed or the arguments are not a JSON object.
    """
    try:
        given = json.loads(_text_of(arguments))
    except (OSError, ValueError, RecursionError) as error:
        return _fail(f"The arguments cannot be read: {error}")
    if not is_object(given):
        return _fail("The arguments must be a JSON object.")
    result = anyio.run(_call, settings, tool, given)
    if isinstance(result, MCPError):
        return _fail(str(result))
    in_unicode = sys.stdout.encoding.lower().startswith("utf")
    print(json.dumps(result.structured_content, indent=2, ensure_ascii=not in_unicode))
    return int(bool(result.is_error))


def _text_of(arguments: str) -> str:
    if arguments == "-":
        return sys.stdin.read()
    return Path(arguments[1:]).read_text(encoding="utf-8") if arguments.startswith("@") else arguments


async def _call(settings: Settings, tool: str, arguments: dict[str, Any]) -> CallToolResult | MCPError:
    async with Client(create_server(settings)) as client:
        try:
            return await client.call_tool(tool, arguments)
        except MCPError as error:  # returned: raised, it would leave the client's task group wrapped
            return error


def _fail(problem: str) -> int:
    print(f"decthings-mcp: {problem}", file=sys.stderr)
    return 1
