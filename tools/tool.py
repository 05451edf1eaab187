"""A tool whose schema is written for assistants, whose arguments are read and checked by us,
and whose every failure is an answer."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase, FuncMetadata
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, ToolAnnotations
from pydantic import PrivateAttr, SkipValidation, TypeAdapter

from .answers import failure, in_sandbox
from .backend import backend_of
from .checking import check
from .decthings import DecthingsError
from .errors import InternalError, ToolFailure
from .reading import Reader
from .text import log_crash

_log = logging.getLogger(__name__)

Call = Callable[[Any, list[str], Context[Any, Any]], Awaitable[CallToolResult]]
"""(checked arguments, members that were ignored, context) to the answer."""


class _CheckedArguments(ArgModelBase):
    """The function's own parameters; what the assistant gave was checked before they are filled."""

    arguments: SkipValidation[Any]
    ignored: SkipValidation[list[str]]


class DecthingsTool(Tool):
    _reader: Reader = PrivateAttr()
    _adapter: TypeAdapter[Any] = PrivateAttr()

    @classmethod
    def define(
        cls,
        call: Call,
        *,
        reader: Reader,
        published_schema: Mapping[str, Any],
        adapter: TypeAdapter[Any],
        title: str,
        description: str,
        annotations: ToolAnnotations,
        output_schema: Mapping[str, Any],
    ) -> DecthingsTool:
        """
        Args:
            call: an async function, named like the tool, with the parameters of `Call` by these names:
                `arguments`, `ignored`, `context`.
            reader: reads by the whole schema.
            published_schema: the same, as tools/list shows it.
            adapter: checks what the reader has read.
        """
        tool = cls(
            fn=call,
            name=call.__name__,
            title=title,
            description=description,
            parameters=dict(published_schema),
            fn_metadata=FuncMetadata(arg_model=_CheckedArguments, output_schema=dict(output_schema)),
            is_async=True,
            context_kwarg="context",
            annotations=annotations,
        )
        tool._reader, tool._adapter = reader, adapter
        return tool

    async def run(self, arguments: dict[str, Any], context: Context[Any, Any], convert_result: bool = False) -> Any:
        answer = await self._answer(arguments, context)
        return in_sandbox(answer) if backend_of(context).in_sandbox else answer

    async def _answer(self, arguments: dict[str, Any], context: Context[Any, Any]) -> CallToolResult:
        """Every failure is an answer; what has not been sent to Decthings cannot have had an effect."""
        may_have_acted = False
        try:
            read, ignored = self._reader.read(arguments)
            checked = check(read, self._adapter, self._reader.schema, self._reader.unions)
            may_have_acted = True
            return await self.fn(arguments=checked, ignored=ignored, context=context)
        except (ToolFailure, DecthingsError) as error:
            return failure(error)
        except MCPError:
            raise
        except Exception as error:
            log_crash(_log, self.name, error)
            return failure(InternalError(may_have_acted=may_have_acted))
