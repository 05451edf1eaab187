"""Reading a response of Decthings, within limits, and naming what is invalid in it."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import anyio
import httpx

from .errors import ApiError, InvalidResponse
from .json_codec import is_object
from .varint import MalformedFrame
from .wire import decode_response

MAX_SECONDS = 10
"""The time limit for a response, from its first byte to its last."""

MAX_BYTES = 16 * 1024 * 1024
"""Responses of the methods used here are far smaller; a larger one is not read completely."""


async def read_result(response: httpx.Response, *, request_complete: bool) -> dict[str, Any]:
    """Read a response and return its `result` object.

    Raises:
        ApiError: Decthings returned an error.
        InvalidResponse: it is not a valid response of Decthings; `may_have_acted` is true unless the status
            or an incomplete request rules that out.
        TimeoutError: it arrived too slowly.
    """
    with anyio.fail_after(MAX_SECONDS):
        if not response.is_success:
            raise await _failed_status(response, request_complete)
        try:
            return _result_of(_frame_of(response, await _read(response)))
        except MalformedFrame as error:
            problem = f"Invalid response from Decthings: {error}."
            raise InvalidResponse(problem, may_have_acted=request_complete, status=response.status_code) from error


async def _failed_status(response: httpx.Response, request_complete: bool) -> ApiError | InvalidResponse:
    """The error of a response with a failure status: its error frame if it has one, or else the status."""
    has_result = False
    try:
        _result_of(_frame_of(response, await _read(response)))
        has_result = True
    except ApiError as error:
        return error
    except (MalformedFrame, httpx.RequestError):
        pass
    status, retry_after = response.status_code, _retry_after(response)
    # Proxies send 408 and a bare 503 also when their own connection was lost after the request was passed on.
    refused = (status < 500 and status != 408) or (status == 503 and retry_after is not None)
    return InvalidResponse(
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


async def _read(response: httpx.Response) -> bytes:
    """The body, within the size limit."""
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise MalformedFrame("it is compressed, which was not requested")
    announced = response.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > MAX_BYTES:
        raise MalformedFrame(f"its Content-Length is {announced} bytes, and the limit is {MAX_BYTES}")
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MAX_BYTES:
            raise MalformedFrame(f"it is longer than the limit of {MAX_BYTES} bytes")
    return bytes(body)


def _frame_of(response: httpx.Response, body: bytes) -> dict[str, Any]:
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/octet-stream":
        raise MalformedFrame("its Content-Type is not application/octet-stream")
    reply, _ = decode_response(body)
    return reply


def _result_of(reply: dict[str, Any]) -> dict[str, Any]:
    result, error = reply.get("result"), reply.get("error")
    if error is not None and result is not None:
        raise MalformedFrame("it has both a result and an error")
    if error is not None:
        raise _api_error(error)
    if result is None:
        raise MalformedFrame("it has neither a result nor an error")
    if not is_object(result):
        raise MalformedFrame("its result is not an object")
    return result


def _api_error(error: Any) -> Exception:
    details = dict(error) if is_object(error) else {}
    code = details.pop("code", None)
    if not isinstance(code, str) or not code:
        return MalformedFrame("its error has no code")
    return ApiError(code, details)
