"""Reading a response of Decthings, within limits, and naming what is invalid in it."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import anyio
import httpx

from .errors import ApiError, InvalidResponse, TooManyRequests
from .json_codec import is_object
from .varint import MalformedFrame
from .wire import decode_response

MAX_SECONDS = 10
"""The time limit for a response, from its first byte to its last."""

_TOO_MANY_REQUESTS = 429

MAX_BYTES = 16 * 1024 * 1024
"""Responses without tensors are far smaller; a larger one is not read completely."""

MAX_OUTPUT_SECONDS = 30
MAX_OUTPUT_BYTES = 32 * 1024 * 1024
"""The same limits for a response with the outputs of a model."""

Reply = tuple[dict[str, Any], list[bytes]]
"""The JSON object of a response, and its blobs."""


async def read_reply(response: httpx.Response, *, request_complete: bool, with_outputs: bool) -> Reply:
    """Read a response; its JSON object has either a `result` or an `error` with a code.

    Args:
        with_outputs: whether it may be as large as the outputs of a model.

    Raises:
        InvalidResponse: it is not a valid response of Decthings; `may_have_acted` is true unless the status
            or an incomplete request rules that out.
        TimeoutError: it arrived too slowly.
    """
    with anyio.fail_after(MAX_OUTPUT_SECONDS if with_outputs else MAX_SECONDS):
        if not response.is_success:
            return await _read_failed(response, request_complete)
        try:
            return _reply_in(response, await _read(response, MAX_OUTPUT_BYTES if with_outputs else MAX_BYTES))
        except MalformedFrame as error:
            problem = f"Invalid response from Decthings: {error}."
            raise InvalidResponse(problem, may_have_acted=request_complete, status=response.status_code) from error


def result_of(reply: dict[str, Any]) -> dict[str, Any]:
    """The `result` of a reply.

    Raises:
        ApiError: the reply has an error.
    """
    error = reply.get("error")
    if error is not None:
        raise ApiError(error["code"], {name: value for name, value in error.items() if name != "code"})
    return reply["result"]


async def _read_failed(response: httpx.Response, request_complete: bool) -> Reply:
    """Read a response with a failure status. It may have an error frame; otherwise the status is the error."""
    has_result = False
    try:
        reply = _reply_in(response, await _read(response, MAX_BYTES))
        has_result = reply[0].get("error") is None
        if not has_result:
            return reply
    except (MalformedFrame, httpx.RequestError):
        pass
    status, retry_after = response.status_code, _retry_after(response)
    # Proxies and caches send 408 and 5xx, 503 with Retry-After too, also after they have passed the request on.
    refused = status < 500 and status != 408
    error = TooManyRequests if status == _TOO_MANY_REQUESTS else InvalidResponse
    raise error(
        f"Decthings returned HTTP status {status} instead of a valid response.",
        may_have_acted=has_result or (request_complete and not refused),
        status=status,
        retry_after=retry_after,
    )


def _retry_after(response: httpx.Response) -> float | None:
    """The Retry-After header in seconds; it contains seconds or a date."""
    value = response.headers.get("retry-after", "")
    if value.isascii() and value.isdigit() and len(value) < 7:
        return float(value)
    date = parse_http_date(value)
    return None if date is None else max(0.0, round((date - datetime.now(UTC)).total_seconds(), 1))


def parse_http_date(value: str) -> datetime | None:
    """A date in the form of HTTP headers, or None if it is invalid."""
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


async def _read(response: httpx.Response, limit: int) -> bytes:
    """The body, within the size limit."""
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise MalformedFrame("it is compressed, which was not requested")
    announced = response.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit:
        raise MalformedFrame(f"its Content-Length is {announced} bytes, and the limit is {limit}")
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > limit:
            raise MalformedFrame(f"it is longer than the limit of {limit} bytes")
    return bytes(body)


def _reply_in(response: httpx.Response, body: bytes) -> Reply:
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/octet-stream":
        raise MalformedFrame("its Content-Type is not application/octet-stream")
    reply, blobs = decode_response(body)
    if (problem := _problem_of(reply.get("result"), reply.get("error"))) is not None:
        raise MalformedFrame(problem)
    return reply, blobs


def _problem_of(result: Any, error: Any) -> str | None:
    """What is wrong with a reply that has this result and this error."""
    if error is None and result is None:
        return "it has neither a result nor an error"
    if error is None:
        return None if is_object(result) else "its result is not an object"
    if result is not None:
        return "it has both a result and an error"
    code = error.get("code") if is_object(error) else None
    return None if isinstance(code, str) and code else "its error has no code"
