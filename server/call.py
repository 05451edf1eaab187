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

    Raises:
        OSError: the result could not be printed; it is on stderr instead.
    """
    if sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison] - it is when it was closed
        print("decthings-mcp: Nothing was called: stdout is closed, so the result could not be shown.", file=sys.stderr)
        return 1
    try:
        result = anyio.run(_call, settings, tool, _parse(arguments))
    except _InvalidCall as error:
        print(f"decthings-mcp: {error}", file=sys.stderr)
        return 1
    in_unicode = sys.stdout.encoding.lower().startswith("utf")
    text = json.dumps(result.structured_content, indent=2, ensure_ascii=not in_unicode)
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise  # nobody wants to read it
    except OSError:
        print(text, file=sys.stderr)
        raise
    return int(bool(result.is_error))


class _InvalidCall(Exception):
    """The arguments cannot be read, or the server refuses the call."""


def _parse(arguments: str) -> dict[str, Any]:
    try:
        parsed = json.loads(_read(arguments))
    except (OSError, ValueError, RecursionError) as error:
        raise _InvalidCall(f"The arguments cannot be read: {error}") from error
    if not is_object(parsed):
        raise _InvalidCall("The arguments must be a JSON object.")
    return parsed


def _read(arguments: str) -> str:
    if arguments == "-":
        if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison] - it is when it was closed
            raise _InvalidCall("The arguments cannot be read: stdin is closed.")
        return sys.stdin.read()
    return Path(arguments[1:]).read_text(encoding="utf-8") if arguments.startswith("@") else arguments


async def _call(settings: Settings, tool: str, arguments: dict[str, Any]) -> CallToolResult:
    async with Client(create_server(settings)) as client:
        try:
            return await client.call_tool(tool, arguments)
        except MCPError as error:
            refusal = str(error)
    raise _InvalidCall(refusal)  # outside: the client's task group would wrap it in an exception group
