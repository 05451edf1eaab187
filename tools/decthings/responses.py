"""Reading an answer of Decthings: with limits, and telling every way in which it can be broken."""

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
"""From the first byte of an answer to its last."""

MAX_BYTES = 16 * 1024 * 1024
"""No answer of the methods used here comes near this; a larger one is not read to its end."""


async def read_result(response: httpx.Response, *, request_complete: bool) -> dict[str, Any]:
    """The `result` object of an answer.

    Raises:
        ApiError: the answer is an error of Decthings.
        InvalidResponse: it is no answer of Decthings; `may_have_acted` unless the status or an
            incomplete request rules that out.
        TimeoutError: it came too slowly.
    """
    with anyio.fail_after(MAX_SECONDS):
        if not response.is_success:
            raise await _failed_status(response, request_complete)
        try:
            return _result_of(_frame_of(response, await _read(response)))
        except MalformedFrame as error:
            problem = f"The answer is not one of Decthings': {error}."
            raise InvalidResponse(problem, may_have_acted=request_complete, status=response.status_code) from error


async def _failed_status(response: httpx.Response, request_complete: bool) -> ApiError | InvalidResponse:
    """An error frame may come with any status; otherwise the status is all there is to tell."""
    holds_result = False
    try:
        _result_of(_frame_of(response, await _read(response)))
        holds_result = True
    except ApiError as error:
        return error
    except (MalformedFrame, httpx.RequestError):
        pass
    status, retry_after = response.status_code, _retry_after(response)
    # Proxies send 408 and a bare 503 also when the connection behind them broke after the request went through.
    refused = (status < 500 and status != 408) or (status == 503 and retry_after is not None)
    return InvalidResponse(
        f"HTTP status {status} came instead of an answer of Decthings.",
        may_have_acted=holds_result or (request_complete and not refused),
        status=status,
        retry_after=retry_after,
    )


def _retry_after(response: httpx.Response) -> float | None:
    """In seconds; the header has those or a date."""
    value = response.headers.get("retry-after", "")
    if value.isascii() and value.isdigit() and len(value) < 7:
        return float(value)
    date = parse_http_date(value)
    return None if date is None else max(0.0, round((date - datetime.now(UTC)).total_seconds(), 1))


def parse_http_date(value: str) -> datetime | None:
    """A date as headers have it."""
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


async def _read(response: httpx.Response) -> bytes:
    """The body as it came."""
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise MalformedFrame("it is compressed, which was not asked for")
    announced = response.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > MAX_BYTES:
        raise MalformedFrame(f"it is announced with {announced} bytes, more than the {MAX_BYTES} that are read")
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MAX_BYTES:
            raise MalformedFrame(f"it is longer than the {MAX_BYTES} bytes that are read")
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
        raise MalformedFrame("it holds both a result and an error")
    if error is not None:
        raise _api_error(error)
    if result is None:
        raise MalformedFrame("it holds neither a result nor an error")
    if not is_object(result):
        raise MalformedFrame("its result is not an object")
    return result


def _api_error(error: Any) -> Exception:
    details = dict(error) if is_object(error) else {}
    code = details.pop("code", None)
    if not isinstance(code, str) or not code:
        return MalformedFrame("its error has no code")
    return ApiError(code, details)
