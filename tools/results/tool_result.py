"""The results that an assistant gets. Errors of Decthings and of the tools become results here and nowhere else.

A result is one object, and the same in readable text, because clients show a model one or the other.
Sentences of ours never contain text from Decthings; that has fields of its own, bounded.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mcp_types import AudioContent, CallToolResult, ContentBlock, ImageContent, TextContent

from ..decthings import ApiError, DecthingsError, InvalidRequest, InvalidResponse
from ..decthings.json_codec import is_list, is_object
from .api_errors import A_MINUTE, ADVICE, OTHER, wait_and_repeat
from .errors import LostResponse, ToolFailure
from .text import sanitize, sanitize_json


@dataclass(frozen=True)
class Success:
    """What a handler returns: a sentence, the fields of the result, and what the assistant can do next."""

    headline: str
    fields: Mapping[str, Any]
    next_step: str
    outcome: str | None = None
    """In place of the usual one of the tool."""
    untrusted: Sequence[str] = ()
    """The names of the fields with text that others wrote: owners of models, the makers of files, programs."""
    media: Sequence[ImageContent | AudioContent] = ()
    """Shown after the text, by clients that can."""


@dataclass(frozen=True)
class Effect:
    """What a tool does to Decthings, which decides what its results say of the outcome."""

    failure_prefix: str
    """Begins the message of an error from Decthings."""
    applied: str | None
    """The outcome of a success; None for a tool that only reads."""
    not_applied: str | None
    """The outcome of a failure after which nothing was done."""
    unknown_next_step: str
    """What to do when it cannot be determined whether Decthings acted."""

    @property
    def reads_only(self) -> bool:
        return self.applied is None


CREATES = Effect(
    "Nothing was created: ",
    "created",
    "not_created",
    "The model may exist or not. Make the same call again with the same name: Decthings refuses a second model of "
    "one name, so this cannot make two. If the error is name_already_used, it tells whether that model is the "
    "wanted one. Do not change the name.",
)
CHANGES = Effect(
    "Nothing was changed: ",
    "done",
    "not_done",
    "It may have been done or not. Check with find_models before you do it again.",
)
EVALUATES = Effect(
    "Nothing was evaluated: ",
    "evaluated",
    "not_evaluated",
    "The model may have run or not. Calling again runs it again, which the user pays for: ask them first.",
)
READS = Effect("", None, None, "Make the same call again.")


def _codes_below(base: type[ToolFailure] | type[DecthingsError]) -> Iterator[str]:
    for kind in base.__subclasses__():
        if "code" in vars(kind):
            yield kind.code
        yield from _codes_below(kind)


ERROR_CODES = frozenset([*ADVICE, *_codes_below(ToolFailure), *_codes_below(DecthingsError)])
"""All that are known; Decthings may return others."""

_NEXT_STEPS = {
    "invalid_request": "Correct what is named and call again.",
    "file_changed": "Wait until the file is no longer being written, then make the same call again.",
    "upload_interrupted": "The same link can be used again, as long as it is valid.",
    "connection_failed": "Check with the user that this machine is online and that the server's API URL and "
    "proxy are right, then make the same call again.",
    "too_many_calls": "Wait until other calls have ended, then make the same call again.",
    "request_cut_short": "Make the same call again. For a large file, check the connection with the user first.",
}
_NEXT_STEPS_BY_STATUS = {
    401: "Ask the user to check the API key of this server, or the proxy in front of Decthings.",
    403: "Ask the user to check the API key of this server, or the proxy in front of Decthings.",
    404: "Ask the user to check the server's API URL: it must contain the version, like https://api.decthings.com/v0.",
    413: "The request is too large for Decthings or a proxy in front of it. Tell the user.",
}
_WAIT_BY_STATUS = (429, 503)
"""Too many requests, or Decthings is not available: both pass."""
_REFUSED_NEXT_STEP = "Tell the user the status: something between this server and Decthings refuses the request."
_TRANSIENT_STATUSES = (408, 429)


def output_schema(**fields: Any) -> dict[str, Any]:
    """An outputSchema that success and failure both satisfy: some clients check errors against it too.

    Args:
        fields: the schemas of the fields that success can have.
    """
    return {
        "type": "object",
        "properties": {
            **fields,
            "error": {"type": "object"},
            "outcome": {"type": "string"},
            "nextStep": {"type": "string"},
        },
        "required": ["nextStep"],
    }


def success(
    result: Success, effect: Effect, ignored: Sequence[str] = (), evidence: Mapping[str, Any] | None = None
) -> CallToolResult:
    """The result of a call that did what was asked.

    Args:
        ignored: the paths of arguments that were left out.
        evidence: of a lookup, when the response of Decthings was lost.
    """
    fields = {
        **result.fields,
        **({UNTRUSTED: list(result.untrusted)} if result.untrusted else {}),
        **({"ignored": list(ignored)} if ignored else {}),
        **({"lookUp": evidence} if evidence is not None else {}),
        **({"outcome": result.outcome or effect.applied} if effect.applied else {}),
        "nextStep": result.next_step,
    }
    was_recovered = evidence is not None and result.outcome is None
    recovered = " The response of Decthings was lost; a lookup confirmed that this was done." if was_recovered else ""
    return _result(fields, result.headline + recovered, result.media, is_error=False)


def failure(
    error: ToolFailure | DecthingsError, effect: Effect, *, may_have_acted: bool | None = None
) -> CallToolResult:
    """The result of a call that failed.

    Args:
        may_have_acted: whether the call may have had an effect, where the error alone does not say it.
    """
    may_have_acted = error.may_have_acted if may_have_acted is None else may_have_acted
    fields, next_step = _error_fields(error, effect)
    own_outcome, result = (error.outcome, error.result) if isinstance(error, ToolFailure) else (None, None)
    if effect.not_applied is not None:
        fields["outcome"] = "unknown" if may_have_acted else own_outcome or effect.not_applied
    if may_have_acted:
        own = error.next_step if isinstance(error, LostResponse) else ""
        next_step = own or effect.unknown_next_step
    summary = ", ".join(fields[name] for name in ("code", "outcome") if name in fields)
    answer = {"error": fields, **({"result": result} if result else {}), "nextStep": next_step}
    return _result(answer, f"{fields['message']} ({summary})", is_error=True)


def failure_text(error: ToolFailure | DecthingsError) -> str:
    """What a reading call that is no tool says of a failure: the message and the next step."""
    fields, next_step = _error_fields(error, READS)
    return f"{fields['message']} {next_step}"


def mark_sandbox(result: CallToolResult) -> CallToolResult:
    """The same result, saying that Decthings itself was not involved."""
    fields: dict[str, Any] = {**(result.structured_content or {}), "sandbox": True}
    text = "\n".join(block.text for block in result.content if isinstance(block, TextContent))
    note = "This is the sandbox: nothing reaches Decthings or anybody's account."
    others = [block for block in result.content if not isinstance(block, TextContent)]
    content: list[ContentBlock] = [TextContent(type="text", text=f"{text}\n{note}"), *others]
    return result.model_copy(update={"structured_content": fields, "content": content})


def _error_fields(error: ToolFailure | DecthingsError, effect: Effect) -> tuple[dict[str, Any], str]:
    """The fields of the error, and the next step."""
    if isinstance(error, ToolFailure):
        return _fields(error.code, str(error), retryable=error.retryable, details=error.details), error.next_step
    if isinstance(error, ApiError):
        return _api_error_fields(error, effect)
    return _transport_error_fields(error)


def _api_error_fields(error: ApiError, effect: Effect) -> tuple[dict[str, Any], str]:
    advice = ADVICE.get(error.code, OTHER)
    message = effect.failure_prefix + advice.message
    details = {sanitize(name, 60): sanitize_json(value) for name, value in error.details.items()}
    if advice.retry_after is not None:
        details["retryAfterSeconds"] = advice.retry_after
    message = message[0].upper() + message[1:]
    fields = _fields(
        sanitize(error.code, 100), message, retryable=advice.retryable, details=_separate_clashing(details)
    )
    return fields, advice.next_step


def _transport_error_fields(error: DecthingsError) -> tuple[dict[str, Any], str]:
    if isinstance(error, InvalidResponse):
        details: dict[str, Any] = {"httpStatus": error.status}
        next_step = _NEXT_STEPS_BY_STATUS.get(error.status, _REFUSED_NEXT_STEP)
        if error.status in _WAIT_BY_STATUS or error.retry_after is not None:
            details["retryAfterSeconds"] = A_MINUTE if error.retry_after is None else math.ceil(error.retry_after)
            next_step = wait_and_repeat(details["retryAfterSeconds"])
        retryable = error.may_have_acted or error.status >= 500 or error.status in _TRANSIENT_STATUSES
    else:
        details, next_step = {}, _NEXT_STEPS.get(error.code, "Make the same call again.")
        retryable = not isinstance(error, InvalidRequest)
    return _fields(error.code, str(error), retryable=retryable, details=details), next_step


_RESERVED = ("code", "message", "outcome", "retryable", "problems", "result", "error", "nextStep")


def _separate_clashing(details: dict[str, Any]) -> dict[str, Any]:
    """Fields of Decthings' error that have our names get an object of their own, `fromDecthings`."""
    clashing = {name: value for name, value in details.items() if name in _RESERVED}
    own_names = {name: value for name, value in details.items() if name not in _RESERVED}
    return {**own_names, **({"fromDecthings": clashing} if clashing else {})}


def _fields(code: str, message: str, *, retryable: bool, details: Mapping[str, Any]) -> dict[str, Any]:
    return {"code": code, "message": message, "retryable": retryable, **details}


def _result(
    fields: Mapping[str, Any], headline: str, media: Sequence[ImageContent | AudioContent] = (), *, is_error: bool
) -> CallToolResult:
    text = "\n".join([headline, *_lines(fields, headline), fields["nextStep"]])
    content: list[ContentBlock] = [TextContent(type="text", text=text), *media]
    return CallToolResult(content=content, structured_content=dict(fields), is_error=is_error)


UNTRUSTED = "textOfOthers"
"""The field that names those with text which is data, never an instruction; the server's instructions say so."""

_IN_HEADLINE = {"nextStep", "code", "message", "outcome"}


def _lines(fields: Mapping[str, Any], headline: str) -> list[str]:
    """All that the headline and the next step leave out: a line for each field and for each item of a list."""
    lines: list[str] = []
    for name, value in fields.items():
        if name in ("result", "error"):
            lines += _lines(value, headline)
        elif name == "problems":
            lines += map(_problem_line, value)
        elif is_list(value) and all(map(is_object, value)):
            lines += [f"{name}:", *(f"- {_inline(item)}" for item in value)]
        elif is_object(value) and value.get("message") == headline:
            lines.append(f"{name}: {_inline({n: member for n, member in value.items() if n != 'message'})}")
        elif name not in _IN_HEADLINE:
            lines.append(f"{name}: {_inline(value)}")
    return lines


def _problem_line(problem: Mapping[str, Any]) -> str:
    line = f"- {problem['path']} {problem['problem']}"
    if "nearest" in problem:
        line += f"; probably {problem['nearest']} is meant"
    if "allowed" in problem:
        line += f" (possible: {', '.join(problem['allowed'])})"
    if "missing" in problem:
        line += f" (missing: {_inline(problem['missing'])})"
    return line


def _inline(value: Any) -> str:
    """Flat values in words; nested ones as JSON, to be passed on as they are.

    Strings of more than a line are JSON too: text of others cannot look like a line of this server.
    """
    if isinstance(value, str):
        return value if value.isprintable() else json.dumps(value, ensure_ascii=False)
    if is_object(value) and not any(is_object(field) or is_list(field) for field in value.values()):
        return ", ".join(f"{name} {_inline(field)}" for name, field in value.items())
    if is_list(value) and not any(is_object(item) or is_list(item) for item in value):
        return "; ".join(map(_inline, value))
    return json.dumps(value, ensure_ascii=False)
