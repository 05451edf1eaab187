"""What an assistant is told. Errors become answers here and nowhere else.

An answer is one object, and the same in readable text, because clients show a model one or the other.
Sentences of ours never contain text from Decthings; that stands in members of its own, bounded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mcp_types import CallToolResult, TextContent

from ..decthings import (
    ApiError,
    BlobChanged,
    ConnectionFailed,
    DecthingsError,
    InvalidRequest,
    InvalidResponse,
    NoResponse,
    RequestInterrupted,
    TooManyCalls,
)
from ..decthings.json_codec import is_list, is_object
from .api_errors import ADVICE, OTHER
from .errors import LostResponse, ToolFailure
from .text import sanitize, sanitize_json


@dataclass(frozen=True)
class Effect:
    """What a tool does to Decthings, for telling what became of it.

    `nothing` begins the message of a failure; `outcome` is what the answer then holds, None for a tool
    that only reads; `unknown_next_step` is for when it cannot be told whether Decthings acted.
    """

    failure_prefix: str
    outcome: str | None
    unknown_next_step: str


CREATES = Effect(
    "Nothing was created: ",
    "not_created",
    "The model may exist or not. Make the same call again with the same name: Decthings refuses a second model of "
    "one name, so this cannot make two. If the answer is name_already_used, it tells whether that model is the "
    "wanted one. Do not change the name.",
)
CHANGES = Effect(
    "Nothing was changed: ",
    "not_done",
    "It may have been done or not. See with find_models before you do it again.",
)
READS = Effect("", None, "Make the same call again.")

_CODES: dict[type[DecthingsError], str] = {
    InvalidRequest: "invalid_request",
    BlobChanged: "file_changed",
    ConnectionFailed: "connection_failed",
    TooManyCalls: "too_many_calls",
    RequestInterrupted: "request_cut_short",
    NoResponse: "no_response",
    InvalidResponse: "invalid_response",
}
_NEXT_STEPS = {
    "invalid_request": "Correct what is named and call again.",
    "file_changed": "Wait until the file is no longer being written, then make the same call again.",
    "connection_failed": "Check with the person that this machine is online and that the server's API URL and "
    "proxy are right, then make the same call again.",
    "too_many_calls": "Wait until other calls have ended, then make the same call again.",
    "request_cut_short": "Make the same call again. For a large file, check the connection with the person first.",
}
_NEXT_STEPS_BY_STATUS = {
    401: "Ask the person to check the API key of this server, or the proxy in front of Decthings.",
    403: "Ask the person to check the API key of this server, or the proxy in front of Decthings.",
    404: "Ask the person to check the server's API URL: it has to hold the version, like https://api.decthings.com/v0.",
    413: "What is sent is too large for Decthings or a proxy in front of it. Tell the person.",
    429: "Too many requests were made. Wait a minute, then make the same call again.",
    503: "Decthings is not available. Wait a minute, then make the same call again.",
}
_REFUSED_NEXT_STEP = "Tell the person the status: something between this server and Decthings refuses the request."
_PASSING_STATUSES = (408, 429)


def output_schema(**members: Any) -> dict[str, Any]:
    """An outputSchema that success and failure both satisfy: some clients check errors against it too.

    Args:
        members: the schemas of the members that success can have.
    """
    return {
        "type": "object",
        "properties": {
            **members,
            "error": {"type": "object"},
            "outcome": {"type": "string"},
            "nextStep": {"type": "string"},
        },
        "required": ["nextStep"],
    }


def success(answer: Mapping[str, Any], headline: str, outcome: str | None = None) -> CallToolResult:
    """
    Args:
        outcome: "created" or "done", of a tool that writes.
    """
    told = {**answer, **({} if outcome is None else {"outcome": outcome})}
    return _answer(told, headline, is_error=False)


def failure(error: ToolFailure | DecthingsError, effect: Effect) -> CallToolResult:
    members, next_step = _described(error, effect)
    if effect.outcome is not None:
        members["outcome"] = "unknown" if error.may_have_acted else effect.outcome
    if error.may_have_acted:
        own = error.next_step if isinstance(error, LostResponse) else ""
        next_step = own or effect.unknown_next_step
    said = ", ".join(members[name] for name in ("code", "outcome") if name in members)
    return _answer({"error": members, "nextStep": next_step}, f"{members['message']} ({said})", is_error=True)


def mark_sandbox(result: CallToolResult) -> CallToolResult:
    """The same answer, saying that Decthings itself was not involved."""
    answer: dict[str, Any] = {**(result.structured_content or {}), "sandbox": True}
    text = "\n".join(block.text for block in result.content if isinstance(block, TextContent))
    note = "This is the sandbox: nothing reaches Decthings or anybody's account."
    content = [TextContent(type="text", text=f"{text}\n{note}")]
    return result.model_copy(update={"structured_content": answer, "content": content})


def _described(error: ToolFailure | DecthingsError, effect: Effect) -> tuple[dict[str, Any], str]:
    if isinstance(error, ToolFailure):
        return _members(error.code, str(error), retryable=error.retryable, details=error.details), error.next_step
    if isinstance(error, ApiError):
        advice = ADVICE.get(error.code, OTHER)
        message = effect.failure_prefix + advice.message
        details = {sanitize(name, 60): sanitize_json(value) for name, value in error.details.items()}
        if advice.retry_after is not None:
            details["retryAfterSeconds"] = advice.retry_after
        code = sanitize(error.code, 100)
        return _members(
            code, message, retryable=advice.retryable, details=_separate_clashing(details)
        ), advice.next_step
    return _described_transport(error)


def code_of(error: DecthingsError) -> str:
    """Our code of an error that is not Decthings' own."""
    return next(_CODES[kind] for kind in type(error).__mro__ if kind in _CODES)


def _described_transport(error: DecthingsError) -> tuple[dict[str, Any], str]:
    code = code_of(error)
    if isinstance(error, InvalidResponse):
        details: dict[str, Any] = {"httpStatus": error.status}
        if error.retry_after is not None:
            details["retryAfterSeconds"] = error.retry_after
        next_step = _NEXT_STEPS_BY_STATUS.get(error.status, _REFUSED_NEXT_STEP)
        retryable = error.may_have_acted or error.status >= 500 or error.status in _PASSING_STATUSES
    else:
        details, next_step, retryable = {}, _NEXT_STEPS.get(code, ""), code != "invalid_request"
    return _members(code, str(error), retryable=retryable, details=details), next_step


_RESERVED = ("code", "message", "outcome", "retryable", "problems", "result", "error", "nextStep")


def _separate_clashing(details: dict[str, Any]) -> dict[str, Any]:
    """Members of Decthings' error that have our names stand by themselves, under `fromDecthings`."""
    clashing = {name: value for name, value in details.items() if name in _RESERVED}
    own_names = {name: value for name, value in details.items() if name not in _RESERVED}
    return {**own_names, **({"fromDecthings": clashing} if clashing else {})}


def _members(code: str, message: str, *, retryable: bool, details: Mapping[str, Any]) -> dict[str, Any]:
    return {"code": code, "message": message, "retryable": retryable, **details}


def _answer(answer: Mapping[str, Any], headline: str, *, is_error: bool) -> CallToolResult:
    text = "\n".join([headline, *_lines(answer), answer["nextStep"]])
    return CallToolResult(
        content=[TextContent(type="text", text=text)], structured_content=dict(answer), is_error=is_error
    )


_SAID_IN_HEADLINE = {"nextStep", "code", "message", "outcome"}


def _lines(answer: Mapping[str, Any]) -> list[str]:
    """Everything that the headline and the next step do not say: a line a member, and a line an item of a list."""
    lines: list[str] = []
    for name, value in answer.items():
        if name in ("result", "error"):
            lines += _lines(value)
        elif name == "problems":
            lines += map(_problem_line, value)
        elif is_list(value) and all(map(is_object, value)):
            lines += [f"{name}:", *(f"- {_inline(item)}" for item in value)]
        elif name not in _SAID_IN_HEADLINE:
            lines.append(f"{name}: {_inline(value)}")
    return lines


def _problem_line(problem: Mapping[str, Any]) -> str:
    line = f"- {problem['path']} {problem['problem']}"
    if "nearest" in problem:
        line += f"; probably {problem['nearest']} is meant"
    if "allowed" in problem:
        line += f" (possible: {', '.join(problem['allowed'])})"
    return line


def _inline(value: Any) -> str:
    """Flat things in words; what is nested as JSON, to be passed on as it is."""
    if isinstance(value, str):
        return value
    if is_object(value) and not any(is_object(member) or is_list(member) for member in value.values()):
        return ", ".join(f"{name} {_inline(member)}" for name, member in value.items())
    if is_list(value) and not any(is_object(item) or is_list(item) for item in value):
        return "; ".join(map(_inline, value))
    return json.dumps(value, ensure_ascii=False)
