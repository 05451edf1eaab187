"""Asking the person before something that cannot be taken back, where the client can show a question."""

from __future__ import annotations

from typing import Any

from mcp.server.mcpserver import AcceptedElicitation, Context, Elicit, ElicitationResult
from pydantic import BaseModel, Field

from ..results.errors import UserDeclined
from ..results.text import single_line

_FIRST_WITHOUT_BACK_CHANNEL = "2026-07-28"


class Confirmed(BaseModel):
    confirm: bool = Field(title="Do it", description="Yes, do it.")


Question = Confirmed | Elicit[Confirmed]
"""What a resolver returns: the consent that needs no question, or the question."""


def ask_if_possible(question: str, context: Context[Any, Any]) -> Question:
    """Where no question can be shown it goes ahead: the client shows the arguments of every call."""
    return Elicit(question, Confirmed) if can_ask(context) else Confirmed(confirm=True)


def can_ask(context: Context[Any, Any]) -> bool:
    capabilities = context.client_capabilities
    elicitation = capabilities.elicitation if capabilities else None
    if elicitation is None or (elicitation.form is None and elicitation.url is not None):
        return False
    # Without a handshake the question travels in the answer; with one it needs a way back to the client.
    asks_in_answer = (context.protocol_version or "") >= _FIRST_WITHOUT_BACK_CHANNEL
    return asks_in_answer or context.session.can_send_request


def require_consent(answer: ElicitationResult[Confirmed]) -> None:
    """
    Raises:
        UserDeclined: the person said no, or nothing.
    """
    if not (isinstance(answer, AcceptedElicitation) and answer.data.confirm):
        raise UserDeclined


def ask_to_publish(name: str | None, context: Context[Any, Any]) -> Question:
    return ask_if_possible(f'Let everyone on Decthings find and use the model "{single_line(name)}"?', context)


NOW_PUBLIC = "Everyone on Decthings can now find and use the model."
