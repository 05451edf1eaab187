"""What an assistant is told. Errors become answers here and nowhere else.

An answer is one object, and the same in readable text, because clients show a model one or the other.
Sentences of ours never contain text from Decthings; that stands in members of its own, bounded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from mcp_types import CallToolResult, TextContent

from .api_errors import ADVICE, OTHER
from .decthings import (
    ApiError,
    BlobChanged,
    ConnectionFailed,
    DecthingsError,
    InvalidRequest,
    InvalidResponse,
    NoResponse,
    RequestCutShort,
    TooManyCalls,
)
from .decthings.json_values import is_list, is_object
from .errors import ToolFailure
from .text import harmless, harmless_json

Outcome = Literal["not_created", "created", "unknown"]

_CODES: dict[type[DecthingsError], str] = {
    InvalidRequest: "invalid_request",
    BlobChanged: "file_changed",
    ConnectionFailed: "connection_failed",
    TooManyCalls: "too_many_calls",
    RequestCutShort: "request_cut_short",
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
_UNKNOWN_NEXT_STEP = (
    "The model may exist or not. Make the same call again with the same name: Decthings refuses a second model of "
    "one name, so this cannot make two. If the answer is name_already_used, either this call made the model or the "
    "name was taken before: ask the person to look. Do not change the name."
)
_PASSING_STATUSES = (408, 429)

_ERROR_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "code": {"type": "string"},
        "message": {"type": "string"},
        "outcome": {"type": "string", "enum": ["not_created", "created", "unknown"]},
        "retryable": {"type": "boolean"},
    },
    "required": ["code", "message", "outcome", "retryable"],
}


def output_schema(**members: Any) -> dict[str, Any]:
    """An outputSchema that success and failure both satisfy: some clients check errors against it too.

    Args:
        members: the schemas of the members that success can have.
    """
    return {
        "type": "object",
        "properties": {
            **members,
            "error": _ERROR_SCHEMA,
            "sandbox": {"type": "boolean"},
            "nextStep": {"type": "string"},
        },
        "required": ["nextStep"],
    }


def success(answer: Mapping[str, Any], headline: str) -> CallToolResult:
    return _answer(answer, headline, is_error=False)


def failure(error: ToolFailure | DecthingsError) -> CallToolResult:
    members, next_step = _described(error)
    answer = {"error": members, "nextStep": next_step}
    return _answer(answer, f"{members['message']} ({members['code']}, {members['outcome']})", is_error=True)


def in_sandbox(result: CallToolResult) -> CallToolResult:
    """The same answer, saying that Decthings itself was not involved."""
    answer: dict[str, Any] = {**(result.structured_content or {}), "sandbox": True}
    text = "\n".join(block.text for block in result.content if isinstance(block, TextContent))
    note = "This is the sandbox: nothing reaches Decthings or anybody's account."
    content = [TextContent(type="text", text=f"{text}\n{note}")]
    return result.model_copy(update={"structured_content": answer, "content": content})


def _described(error: ToolFailure | DecthingsError) -> tuple[dict[str, Any], str]:
    if isinstance(error, ToolFailure):
        outcome: Outcome = "unknown" if error.may_have_acted else "not_created"
        return _members(error.code, str(error), outcome, details=error.details), error.next_step
    if isinstance(error, ApiError):
        advice = ADVICE.get(error.code, OTHER)
        details = {harmless(name, 60): harmless_json(value) for name, value in error.details.items()}
        code = harmless(error.code, 100)
        return _members(code, advice.message, retryable=advice.retryable, details=details), advice.next_step
    return _described_transport(error)


def _described_transport(error: DecthingsError) -> tuple[dict[str, Any], str]:
    code = next(_CODES[kind] for kind in type(error).__mro__ if kind in _CODES)
    outcome: Outcome = "unknown" if error.may_have_acted else "not_created"
    if isinstance(error, InvalidResponse):
        details: dict[str, Any] = {"httpStatus": error.status}
        if error.retry_after is not None:
            details["retryAfterSeconds"] = error.retry_after
        next_step = _NEXT_STEPS_BY_STATUS.get(error.status, _REFUSED_NEXT_STEP)
        retryable = error.may_have_acted or error.status >= 500 or error.status in _PASSING_STATUSES
    else:
        details, next_step, retryable = {}, _NEXT_STEPS.get(code, ""), code != "invalid_request"
    if error.may_have_acted:
        next_step = _UNKNOWN_NEXT_STEP
    return _members(code, str(error), outcome, retryable=retryable, details=details), next_step


def _members(
    code: str,
    message: str,
    outcome: Outcome = "not_created",
    *,
    retryable: bool = False,
    details: Mapping[str, Any],
) -> dict[str, Any]:
    """Members of Decthings' error that have our names stand apart, under `fromDecthings`."""
    ours = {"code": code, "message": message, "outcome": outcome, "retryable": retryable}
    clashing = {name: value for name, value in details.items() if name in ours}
    own_names = {name: value for name, value in details.items() if name not in ours}
    return {**ours, **own_names, **({"fromDecthings": clashing} if clashing else {})}


def _answer(answer: Mapping[str, Any], headline: str, *, is_error: bool) -> CallToolResult:
    text = "\n".join([headline, *_lines(answer), answer["nextStep"]])
    return CallToolResult(
        content=[TextContent(type="text", text=text)], structured_content=dict(answer), is_error=is_error
    )


_SAID_IN_HEADLINE = {"nextStep", "code", "message", "outcome"}


def _lines(answer: Mapping[str, Any]) -> list[str]:
    """Everything that the headline and the next step do not say, a line a member."""
    lines: list[str] = []
    for name, value in answer.items():
        if name in ("result", "error"):
            lines += _lines(value)
        elif name == "problems":
            lines += map(_problem_line, value)
        elif name not in _SAID_IN_HEADLINE:
            lines.append(f"{name}: {_plain(value)}")
    return lines


def _problem_line(problem: Mapping[str, Any]) -> str:
    line = f"- {problem['path']} {problem['problem']}"
    if "nearest" in problem:
        line += f"; probably {problem['nearest']} is meant"
    if "allowed" in problem:
        line += f" (possible: {', '.join(problem['allowed'])})"
    return line


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if is_object(value):
        return ", ".join(f"{name} {_plain(member)}" for name, member in value.items())
    return "; ".join(map(_plain, value)) if is_list(value) else str(value)
