"""The private and provisional parts of the MCP SDK that are needed: a new release can break this file only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

from mcp.server import MCPServer
from mcp.server.lowlevel import Server
from mcp.server.mcpserver import Context, ElicitationResult
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.resolve import Resolve, build_resolver_plans, resolve_arguments
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase, FuncMetadata
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, InputRequiredResult, ToolAnnotations

Run = Callable[[dict[str, Any], Context[Any, Any]], Awaitable[CallToolResult | InputRequiredResult]]
"""(arguments as they came, context) to the response to tools/call."""


class _Tool(Tool):
    async def run(self, arguments: dict[str, Any], context: Context[Any, Any], convert_result: bool = False) -> Any:
        return await self.fn(arguments, context)


def sdk_tool(
    name: str,
    description: str,
    run: Run,
    input_schema: Mapping[str, Any],
    output_schema: Mapping[str, Any],
    annotations: ToolAnnotations,
) -> Tool:
    """A tool with schemas of our own. The SDK would derive them from a function, and validate arguments by them."""
    return _Tool(
        fn=run,
        name=name,
        title=annotations.title,
        description=description,
        parameters=dict(input_schema),
        fn_metadata=FuncMetadata(arg_model=ArgModelBase, output_schema=dict(output_schema)),
        is_async=True,
        context_kwarg=None,
        annotations=annotations,
    )


class Elicitation:
    """A question to the user before a tool runs, in the response or mid-call, as the protocol version wants."""

    def __init__(self, resolver: Callable[..., Awaitable[Any]], parameters: Collection[str]) -> None:
        """Plans how the question is asked.

        Args:
            resolver: gives a model, or an `Elicit` of one; its name identifies the question to the client.
            parameters: the names of the resolver's parameters.
        """
        self._resolved = {"reply": (Resolve(resolver), True)}
        self._plans = build_resolver_plans(self._resolved, set(parameters))

    async def reply(
        self, context: Context[Any, Any], **arguments: Any
    ) -> ElicitationResult[Any] | InputRequiredResult | None:
        """What the user replied; the question, when it has to go out first; None for a reply that is no valid one."""
        try:
            resolved = await resolve_arguments(self._resolved, self._plans, arguments, context)
        except (ToolError, MCPError):
            return None
        return resolved if isinstance(resolved, InputRequiredResult) else resolved["reply"]


def lowlevel_server(server: MCPServer[Any]) -> Server[Any]:
    """The server below MCPServer: transports run it, and handlers that need their context are added to it."""
    return server._lowlevel_server  # pyright: ignore[reportPrivateUsage]


def skip_header_arguments(server: MCPServer[Any]) -> None:
    """No tool takes an argument from an HTTP header, so no schema has to be searched for such at every call."""
    lowlevel_server(server).get_tool_input_schema = _no_schema


def _no_schema(_tool: str) -> None:
    return None


def lifespan_of(manager: StreamableHTTPSessionManager) -> Any:
    """What the lifespan of the server has yielded, while the manager runs."""
    return manager._lifespan_state  # pyright: ignore[reportPrivateUsage]


def sessions_of(manager: StreamableHTTPSessionManager, caller: str) -> int:
    """How many sessions a caller has, by its name."""
    owners = manager._session_owners  # pyright: ignore[reportPrivateUsage]
    return sum(owner["client_id"] == caller for owner in owners.values())
