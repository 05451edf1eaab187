"""Reading an answer of Decthings: with limits, and telling every way in which it can be broken."""

from __future__ import annotations

from typing import Any

import httpx

from .errors import ApiError, InvalidResponse
from .json_values import is_object
from .varint import MalformedFrame
from .wire import decode_response

MAX_BYTES = 16 * 1024 * 1024
"""No answer of the methods used here comes near this; a larger one is not read to its end."""


async def read_result(response: httpx.Response, *, request_complete: bool) -> dict[str, Any]:
    """The `result` object of an answer.

    Raises:
        ApiError: the answer is an error of Decthings.
        InvalidResponse: it is no answer of Decthings; `may_have_acted` unless the status or an
            incomplete request rules that out.
    """
    if not response.is_success:
        raise await _failed_status(response, request_complete)
    try:
        return _result_of(_frame_of(response, await _read(response)))
    except MalformedFrame as error:
        raise InvalidResponse(
            f"The answer is not one of Decthings': {error}.", may_have_acted=request_complete
        ) from error


async def _failed_status(response: httpx.Response, request_complete: bool) -> ApiError | InvalidResponse:
    """An error frame may come with any status; otherwise the status is all there is to tell."""
    try:
        _result_of(_frame_of(response, await _read(response)))
    except ApiError as error:
        return error
    except (MalformedFrame, httpx.RequestError):
        pass
    status = response.status_code
    refused = status < 500 or status == 503  # 4xx, redirects and "unavailable": it was not carried out
    return InvalidResponse(
        f"HTTP status {status} came instead of an answer of Decthings.",
        may_have_acted=request_complete and not refused,
        status=status,
        retry_after=_retry_after(response),
    )


def _retry_after(response: httpx.Response) -> float | None:
    value = response.headers.get("retry-after", "")
    return float(value) if value.isascii() and value.isdigit() and len(value) < 7 else None


async def _read(response: httpx.Response) -> bytes:
    """The body as it came."""
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise MalformedFrame("it is compressed, which was not asked for")
    announced = response.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > MAX_BYTES:
        raise MalformedFrame(f"it is announced with {announced} bytes, more than the {MAX_BYTES} that are read")
    body = bytearray()
    async for piece in response.aiter_raw():
        body += piece
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
