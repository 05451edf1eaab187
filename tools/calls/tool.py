"""A tool whose schema is written for assistants, whose arguments are read and checked by us,
and whose every failure is an answer."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from typing import Any

import anyio
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.resolve import build_resolver_plans, find_resolved_parameters, resolve_arguments
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase, FuncMetadata
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, InputRequiredResult, ToolAnnotations
from pydantic import PrivateAttr, SkipValidation, TypeAdapter

from ..arguments.reader import Reader
from ..arguments.validation import check
from ..decthings import DecthingsError
from ..results.errors import CallTimeout, InternalError, ToolFailure, UserDeclined
from ..results.text import log_crash
from ..results.tool_result import CREATES, READS, Effect, failure, mark_sandbox
from .services import services_of

_log = logging.getLogger(__name__)

Call = Callable[..., Awaitable[CallToolResult]]
"""(checked arguments, members that were ignored, context, what its resolvers give) to the answer."""


class _CheckedArguments(ArgModelBase):
    """The function's own parameters; what the assistant gave was checked before they are filled."""

    arguments: SkipValidation[Any]
    ignored: SkipValidation[list[str]]


class DecthingsTool(Tool):
    _reader: Reader = PrivateAttr()
    _takes: Any = PrivateAttr()
    _adapter: TypeAdapter[Any] | None = PrivateAttr(None)
    _effect: Effect = PrivateAttr()

    @classmethod
    def define(
        cls,
        call: Call,
        *,
        reader: Reader,
        takes: Any,
        effect: Effect,
        title: str,
        description: str,
        output_schema: Mapping[str, Any],
        published_schema: Mapping[str, Any] | None = None,
        destructive: bool = False,
        idempotent: bool = False,
    ) -> DecthingsTool:
        """
        Args:
            call: an async function, named like the tool, with the parameters of `Call` by these names:
                `arguments`, `ignored`, `context`. Further ones are filled by their `Resolve`.
            takes: the type of what the reader has read, once it is checked.
            published_schema: the reader's schema as tools/list shows it, if not as it is.
        """
        resolved = find_resolved_parameters(call)
        tool = cls(
            fn=call,
            name=call.__name__,
            title=title,
            description=description,
            parameters=dict(published_schema or reader.schema),
            fn_metadata=FuncMetadata(arg_model=_CheckedArguments, output_schema=dict(output_schema)),
            is_async=True,
            context_kwarg="context",
            resolved_params=resolved,
            resolver_plans=build_resolver_plans(resolved, set(_CheckedArguments.model_fields)),
            annotations=ToolAnnotations(
                title=title,
                read_only_hint=effect is READS,
                destructive_hint=destructive,
                idempotent_hint=idempotent or effect is READS,
                open_world_hint=True,
            ),
        )
        tool._reader, tool._takes, tool._effect = reader, takes, effect
        return tool

    @property
    def reads_only(self) -> bool:
        return self._effect is READS

    def checked(self, arguments: dict[str, Any]) -> tuple[Any, list[str]]:
        """The arguments as the tool's function takes them, and the names of those that were ignored.

        Raises:
            InvalidArguments: they are not what the schema says, read generously.
        """
        read, ignored = self._reader.read(arguments)
        if self._adapter is None:  # takes a while to make, so only for tools that are called
            self._adapter = TypeAdapter(self._takes)
        return check(read, self._adapter, self._reader.schema, self._reader.unions), ignored

    async def run(self, arguments: dict[str, Any], context: Context[Any, Any], convert_result: bool = False) -> Any:
        answer = await self._answer(arguments, context)
        told = isinstance(answer, CallToolResult)
        return mark_sandbox(answer) if told and services_of(context).in_sandbox else answer

    async def _answer(
        self, arguments: dict[str, Any], context: Context[Any, Any]
    ) -> CallToolResult | InputRequiredResult:
        """Every failure is an answer; what has not been sent to Decthings cannot have had an effect."""
        may_have_acted = False
        try:
            checked, ignored = self.checked(arguments)
            own = {"arguments": checked, "ignored": ignored}
            asked = await self._ask(own, context)
            if isinstance(asked, InputRequiredResult):  # a question goes out first
                return asked
            may_have_acted = self._effect is not READS
            # Creating keeps its own time: an upload may last, as long as it goes on.
            seconds = services_of(context).call_seconds
            with nullcontext() if self._effect is CREATES else anyio.fail_after(seconds):
                return await self.fn(**own, **asked, context=context)
        except (ToolFailure, DecthingsError) as error:
            return failure(error, self._effect)
        except MCPError:
            raise
        except TimeoutError:
            return failure(CallTimeout(may_have_acted=may_have_acted), self._effect)
        except Exception as error:
            log_crash(_log, self.name, error)
            return failure(InternalError(may_have_acted=may_have_acted), self._effect)

    async def _ask(self, own: dict[str, Any], context: Context[Any, Any]) -> dict[str, Any] | InputRequiredResult:
        """
        Raises:
            UserDeclined: the client's answer is no consent, or none that can be understood.
        """
        try:
            return await resolve_arguments(self.resolved_params, self.resolver_plans, own, context)
        except (ToolError, MCPError) as error:
            raise UserDeclined from error
