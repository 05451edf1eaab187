"""The endpoints of the upload page: what a link is for, and the upload. The link is their only credential.

GET  /upload             the page, which has no secrets
POST /upload/describe    what will be created, or that it exists
POST /upload             the file as the body; the response says what became of the model
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from http import HTTPStatus
from typing import Any

import anyio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ....tools.calls.retries import retry
from ....tools.calls.services import CALLER, Caller, Services
from ....tools.create_model.upload_link import find_existing, role_of_file
from ....tools.create_model.uploaded_file import create_from_upload
from ....tools.decthings import ApiError, DecthingsError, SendProgress, UploadInterrupted
from ....tools.files.streamed import StreamedFile
from ....tools.results.errors import ToolFailure
from ....tools.results.text import sanitize
from ..access import NOBODY
from ..rate_limit import RateLimiter
from .links import PAGE_PATH, LinkRefused, Links, OpenedLink
from .page import page

_log = logging.getLogger(__name__)

LINK_HEADER = "decthings-upload-link"
_STALL_SECONDS = 30.0
_LEAST_BYTES = 64 * 1024
"""From the browser in that time: with less the upload has ended, whether its connection has or not."""
_NO_CACHE = {"Cache-Control": "no-store"}
_STATUS = {
    "created": HTTPStatus.OK,
    "exists": HTTPStatus.OK,
    "not_created": HTTPStatus.UNPROCESSABLE_ENTITY,
    "unknown": HTTPStatus.BAD_GATEWAY,
}
"""By the outcome; the response has a body that says it, whatever the status."""


class Uploads:
    """The routes of the upload page."""

    def __init__(self, links: Links, services: Callable[[], Services], rate: RateLimiter, largest_bytes: int) -> None:
        """Prepares the routes.

        Args:
            services: returns those of the server, once it has started.
            rate: counts the requests of a link as calls of its caller.
        """
        self._links = links
        self._services = services
        self._rate = rate
        self._largest_bytes = largest_bytes

    @property
    def routes(self) -> list[Route]:
        return [
            Route(PAGE_PATH, page, methods=["GET"]),
            Route(PAGE_PATH, self._receive, methods=["POST"]),
            Route(f"{PAGE_PATH}/describe", self._describe, methods=["POST"]),
        ]

    async def _describe(self, request: Request) -> Response:
        try:
            link = self._open(request)
            services = self._services().for_caller(link.caller)
            existing = await _look_for(link.arguments, services)
        except LinkRefused as refusal:
            return _refused(refusal)
        role = {name: sanitize(value, 200) for name, value in role_of_file(link.arguments).items()}
        return JSONResponse(
            {
                "name": sanitize(link.arguments["name"], 200),
                "description": sanitize(link.arguments["description"]),
                **role,
                "public": link.arguments.get("publicAccess", False),
                "caller": _name_of(link.caller),
                "sandbox": services.in_sandbox,
                "expiresAt": link.expires_at,
                "largestBytes": self._largest_bytes,
                **existing,
            },
            headers=_NO_CACHE,
        )

    async def _receive(self, request: Request) -> Response:
        try:
            link = self._open(request)
            size = self._size(request)
        except LinkRefused as refusal:
            return _refused(refusal)
        services = self._services().for_caller(link.caller)
        check_as = link.arguments["options"].get("format") if services.check_uploads else None
        sending = SendProgress()
        try:
            with StreamedFile(size, _body(request), check_as) as file:
                result = await create_from_upload(link.arguments, file, services, sending)
        except anyio.get_cancelled_exc_class():
            return _shutting_down(sending)
        outcome: dict[str, Any] = result.structured_content or {}
        if await request.is_disconnected():
            _log.warning("The browser that uploaded %r left before the response: %s", _name(link), _summary(outcome))
        # Unless a model was created, a part of the body was not read: the connection cannot be used again.
        headers = {**_NO_CACHE, **({} if outcome.get("outcome") == "created" else _CLOSE)}
        return JSONResponse(outcome, _STATUS[outcome.get("error", outcome)["outcome"]], headers)

    def _open(self, request: Request) -> OpenedLink:
        link = self._links.open(request.headers.get(LINK_HEADER, ""))
        request.scope[CALLER] = link.caller  # for the access log
        if (wait := self._rate.take(link.caller.name)) is not None:
            raise LinkRefused("too_many_calls", f"Too many requests in a short time. Wait {wait} s and try again.")
        return link

    def _size(self, request: Request) -> int:
        length = request.headers.get("content-length", "")
        if not length.isdigit() or "transfer-encoding" in request.headers:  # with both, the second one counts
            raise LinkRefused("length_required", "The upload does not say how large the file is.")
        if int(length) > self._largest_bytes:
            message = (
                f"The file has {int(length):,} bytes, and this server takes at most {self._largest_bytes >> 20:,} MiB "
                f"({self._largest_bytes:,} bytes). Nothing was created."
            )
            raise LinkRefused("too_large", message)
        return int(length)


async def _look_for(arguments: Mapping[str, Any], services: Services) -> dict[str, Any]:
    """Whether the model exists, as the page shows it: "no", "same", "other", or nothing if that is not known."""
    try:
        client = await services.require_client()
        existing = await retry(lambda: find_existing(client, arguments), services.retry_seconds, idempotent=True)
    except ApiError as error:
        return {"exists": "other"} if error.code == "name_already_used" else {}
    except (DecthingsError, ToolFailure):
        return {}  # the upload reports it
    return {"exists": "no"} if existing is None else {"exists": "same", "existing": existing}


async def _body(request: Request) -> AsyncIterator[bytes]:
    stream = request.stream()
    try:
        while True:
            with anyio.fail_after(_STALL_SECONDS):
                part = await _next_part(stream)
            if not part:
                return
            yield part
    except TimeoutError:
        raise UploadInterrupted("The upload stopped: less than 64 KiB were received in 30 seconds.") from None
    except ClientDisconnect:
        raise UploadInterrupted("The connection to the browser was lost before the whole file was received.") from None


async def _next_part(stream: AsyncIterator[bytes]) -> bytes:
    """The next bytes of an upload, few only at its end."""
    part = await anext(stream, b"")
    while len(part) < _LEAST_BYTES and (more := await anext(stream, b"")):
        part += more
    return part


def _shutting_down(sending: SendProgress) -> Response:
    outcome = "unknown" if sending.may_have_acted else "not_created"
    error = {"code": "shutting_down", "message": "The server is shutting down.", "outcome": outcome}
    return JSONResponse({"error": error}, HTTPStatus.SERVICE_UNAVAILABLE, {**_NO_CACHE, **_CLOSE})


_REFUSED = {
    "too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "length_required": HTTPStatus.LENGTH_REQUIRED,
    "too_many_calls": HTTPStatus.TOO_MANY_REQUESTS,
}
_CLOSE = {"Connection": "close"}


def _refused(refusal: LinkRefused) -> Response:
    error = {"code": refusal.code, "message": str(refusal), "outcome": "not_created"}
    status = _REFUSED.get(refusal.code, HTTPStatus.FORBIDDEN)
    return JSONResponse({"error": error}, status, {**_NO_CACHE, **_CLOSE})


def _name_of(caller: Caller) -> str | None:
    """The name that a person knows: of a token, not of a key."""
    if caller.api_key is None:
        return None if caller.name == NOBODY else caller.name
    return caller.name.rpartition("/")[0] or None  # what follows is a digest of the key


def _name(link: OpenedLink) -> str:
    return sanitize(link.arguments["name"], 100)


def _summary(outcome: Mapping[str, Any]) -> str:
    error = outcome.get("error")
    return outcome["outcome"] if error is None else f"{error['outcome']} ({error['code']})"
