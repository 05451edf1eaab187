"""A tool: schemas written for assistants, arguments read and checked by us, every failure a result."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import anyio
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.tools import Tool
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, InputRequiredResult, ToolAnnotations

from ..arguments.limits import LimitedValidator, are_large, time_limit
from ..arguments.reader import Reader
from ..arguments.validation import check
from ..decthings import DecthingsError
from ..results.errors import CallTimeout, InternalError, ToolFailure
from ..results.text import log_crash
from ..results.tool_result import Effect, Success, failure, mark_sandbox, success
from .call import Call
from .confirmation import Confirmation, Question
from .mcp_internals import sdk_tool

_log = logging.getLogger(__name__)

Handler = Callable[[Any, Call], Awaitable[Success | InputRequiredResult]]
"""(checked arguments, call) to the result, or to what the user is asked first. A failure is raised, as a
`ToolFailure` or a `DecthingsError`."""


@dataclass(frozen=True, kw_only=True)
class DecthingsTool:
    """What a tool is, declared once; `run` is the same for all."""

    handler: Handler
    """An async function named like the tool."""
    title: str
    description: str
    reader: Reader
    arguments: Any
    """The type of what the reader has read, by which it is checked."""
    output_schema: Mapping[str, Any]
    effect: Effect
    published_schema: Mapping[str, Any] | None = None
    """The input schema, where it is not the reader's own."""
    question: Question | None = None
    """What the user is asked before the handler runs."""
    destructive: bool = False
    idempotent: bool = False

    @property
    def name(self) -> str:
        return self.handler.__name__  # pyright: ignore[reportFunctionMemberAccess] - handlers are functions

    @property
    def input_schema(self) -> Mapping[str, Any]:
        """As tools/list shows it."""
        return self.published_schema or self.reader.schema

    def checked(self, arguments: dict[str, Any]) -> tuple[Any, list[str]]:
        """The arguments as the handler takes them, and the names of those that were ignored.

        Raises:
            InvalidArguments: they are not what the schema says, read generously.
            ArgumentsTooLarge
        """
        with time_limit():
            read, ignored = self.reader.read(arguments)
            return check(read, self._validator, self.reader.schema, self.reader.unions), ignored

    async def _checked(self, arguments: dict[str, Any], call: Call) -> tuple[Any, list[str]]:
        """The same; in a thread if it takes long. One at a time, since the threads of Python take turns."""
        if not are_large(arguments):
            return self.checked(arguments)
        return await anyio.to_thread.run_sync(self.checked, arguments, limiter=call.services.large_checks)

    def for_sdk(self) -> Tool:
        annotations = ToolAnnotations(
            title=self.title,
            read_only_hint=self.effect.reads_only,
            destructive_hint=self.destructive,
            idempotent_hint=self.idempotent or self.effect.reads_only,
            open_world_hint=True,
        )
        return sdk_tool(self.name, self.description, self.run, self.input_schema, self.output_schema, annotations)

    async def run(self, arguments: dict[str, Any], context: Context[Any, Any]) -> CallToolResult | InputRequiredResult:
        call = Call(self.name, context)
        result = await self._run(arguments, call)
        if isinstance(result, CallToolResult) and call.services.in_sandbox:
            return mark_sandbox(result)
        return result

    async def _run(self, arguments: dict[str, Any], call: Call) -> CallToolResult | InputRequiredResult:
        try:
            checked, ignored = await self._checked(arguments, call)
            if self._confirmation and (question := await self._confirmation.require(checked, call)):
                return question
            with call.time_limit():
                result = await self.handler(checked, call)
            if isinstance(result, InputRequiredResult):
                return result
            return success(result, self.effect, ignored, call.evidence)
        except ToolFailure as error:
            return failure(error, self.effect)
        except DecthingsError as error:  # of a request that only reads, unless the one that writes was sent
            return failure(error, self.effect, may_have_acted=error.may_have_acted and call.may_have_acted)
        except MCPError:
            raise
        except TimeoutError:
            return failure(CallTimeout(may_have_acted=call.may_have_acted), self.effect)
        except Exception as error:
            log_crash(_log, self.name, error)
            return failure(InternalError(may_have_acted=call.may_have_acted), self.effect)

    @cached_property
    def _validator(self) -> LimitedValidator:  # takes a while to make, so only for tools that are called
        return LimitedValidator(self.arguments)

    @cached_property
    def _confirmation(self) -> Confirmation | None:
        return Confirmation(self.question) if self.question else None
