"""Errors for lines that no request can be read from: without them, a client would wait for a response for ever."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from mcp_types import (
    INVALID_REQUEST,
    PARSE_ERROR,
    ErrorData,
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCNotification,
)

from ...tools.decthings.json_codec import is_list, is_object

_MAX_DIGITS = 1_000
_NOT_JSON = "This line is not JSON. Every message is one line of JSON in UTF-8."
_BATCH = "Batches are not supported. Send every message on a line of its own."
_NO_REQUEST = (
    'This is not a valid request. It must be an object with "jsonrpc": "2.0", an id that is a string or an integer, '
    "a method that is a string and, if there are any, params that are an object; without lone surrogates, without "
    "numbers of thousands of digits and without values nested 200 levels deep."
)


def refusals(line: str, message: JSONRPCMessage | None) -> Sequence[JSONRPCError]:
    """The errors for a line. There are none when it is blank, or when nobody waits for a response to it.

    Args:
        message: what the SDK read in the line; None when it read nothing.
    """
    if not line.strip() or not (message is None or isinstance(message, JSONRPCNotification)):
        return []
    try:
        parsed = json.loads(line, parse_int=_integer)
    except ValueError:
        return [_error(None, _NOT_JSON, PARSE_ERROR)]
    except RecursionError:
        return [_error(None, _NO_REQUEST)]
    if isinstance(message, JSONRPCNotification) and ("id" not in parsed or message.method.startswith("notifications/")):
        return []  # some clients send notifications with the id null
    if is_list(parsed):
        ids = [_usable_id(part) for part in parsed if _needs_response(part)]
        return [_error(id_, _BATCH) for id_ in ids or [None]]
    return [_error(_usable_id(parsed), _NO_REQUEST)] if _needs_response(parsed) else []


def _needs_response(parsed: Any) -> bool:
    """Whether it is no response and no notification."""
    if not is_object(parsed):
        return True
    if isinstance(parsed.get("method"), str):
        return "id" in parsed
    return "method" in parsed or not parsed.keys() & {"result", "error"}


def _usable_id(parsed: Any) -> str | int | None:
    id_ = parsed.get("id") if is_object(parsed) else None
    if isinstance(id_, bool) or not isinstance(id_, str | int):
        return None
    return None if isinstance(id_, str) and any("\ud800" <= character <= "\udfff" for character in id_) else id_


def _integer(text: str) -> int | None:
    """None for an integer that is too large for an id, and slow to read."""
    return int(text) if len(text) <= _MAX_DIGITS else None


def _error(id_: str | int | None, message: str, code: int = INVALID_REQUEST) -> JSONRPCError:
    return JSONRPCError(jsonrpc="2.0", id=id_, error=ErrorData(code=code, message=message))
