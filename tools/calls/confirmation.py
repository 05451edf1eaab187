"""Asking the user, where the client can show it: for consent before what cannot be undone, and to open a page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

from mcp.server.mcpserver import AcceptedElicitation, Context, Elicit, ElicitationResult
from mcp.shared.exceptions import MCPError
from mcp_types import ElicitRequest, ElicitRequestURLParams, ElicitResult, InputRequiredResult
from pydantic import BaseModel, Field

from ..results.errors import UserDeclined
from ..results.text import single_line
from .call import Call
from .mcp_internals import Elicitation

_FIRST_VERSION_WITHOUT_HANDSHAKE = "2026-07-28"

Question = Callable[[Any, Call], Awaitable[str | None]]
"""(checked arguments, call) to what the user is asked; None when no consent is needed."""


class Confirmed(BaseModel):
    confirm: bool = Field(title="Do it", description="Yes, do it.")


class Confirmation:
    """The consent that a tool needs before it runs."""

    def __init__(self, question: Question) -> None:
        async def ask(arguments: Any, call: Call) -> Confirmed | Elicit[Confirmed]:
            with call.time_limit():
                text = await question(arguments, call)
            # Where no question can be shown it goes ahead: the client shows the arguments of every call.
            return Elicit(text, Confirmed) if text is not None and can_ask(call.context) else Confirmed(confirm=True)

        ask.__module__, ask.__qualname__ = question.__module__, question.__qualname__
        self._elicitation = Elicitation(ask, ("arguments", "call"))

    async def require(self, arguments: Any, call: Call) -> InputRequiredResult | None:
        """The question, when it has to be sent before the call can go on; None once the user agrees.

        Raises:
            UserDeclined: the reply is no consent.
        """
        reply = await self._elicitation.reply(call.context, arguments=arguments, call=call)
        if isinstance(reply, InputRequiredResult):
            return reply
        _require_consent(reply)
        return None


def _require_consent(reply: ElicitationResult[Confirmed] | None) -> None:
    if not (isinstance(reply, AcceptedElicitation) and reply.data.confirm):
        raise UserDeclined


def can_ask(context: Context[Any, Any]) -> bool:
    capabilities = context.client_capabilities
    elicitation = capabilities.elicitation if capabilities else None
    if elicitation is None or (elicitation.form is None and elicitation.url is not None):
        return False
    return _asks_in_response(context) or context.session.can_send_request


def _asks_in_response(context: Context[Any, Any]) -> bool:
    """Without a handshake the question travels in the response; with one it needs a channel back to the client."""
    return (context.protocol_version or "") >= _FIRST_VERSION_WITHOUT_HANDSHAKE


_OPEN = "open"
"""The name of the question that opens a page."""


async def ask_to_open(url: str, message: str, call: Call) -> InputRequiredResult | bool:
    """Ask the user to open a page, where the client can do that.

    Returns: the question, when it must be sent before the call can go on; else whether the user has opened the page.

    Raises:
        UserDeclined
    """
    capabilities = call.context.client_capabilities
    if capabilities is None or capabilities.elicitation is None or capabilities.elicitation.url is None:
        return False
    if _asks_in_response(call.context):
        reply = (call.context.input_responses or {}).get(_OPEN)
        if not isinstance(reply, ElicitResult):
            question = ElicitRequest(params=ElicitRequestURLParams(message=message, url=url))
            return InputRequiredResult(input_requests={_OPEN: question})
        action = reply.action
    elif call.context.session.can_send_request:
        call.lift_time_limit()
        try:
            action = (await call.context.elicit_url(message, url, elicitation_id=uuid4().hex)).action
        except MCPError:  # the link is in the result too
            return False
    else:
        return False
    if action == "decline":
        raise UserDeclined
    return action == "accept"


def publish_question(name: str | None) -> str:
    return f'Let everyone on Decthings find and use the model "{single_line(name)}"?'


NOW_PUBLIC = "Everyone on Decthings can now find and use the model."
TELL_PUBLIC = "Tell the user that the model is public."
