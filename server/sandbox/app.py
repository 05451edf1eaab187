"""The sandbox as an ASGI application that reads and writes frames."""

from __future__ import annotations

import logging
import sqlite3
import tempfile
from collections.abc import Sequence
from email.utils import formatdate
from importlib.metadata import version
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ...tools.decthings.client import SANDBOX_SERVER
from ...tools.decthings.varint import MalformedFrame
from ...tools.decthings.wire import encode_response
from .errors import ErrorReply
from .evaluations import Evaluations
from .frames import read_request
from .methods import Account
from .seed import seed
from .store import Store

_log = logging.getLogger(__name__)

_UNUSABLE_STORE = "The sandbox cannot use its folder, and nothing was done; the log of the sandbox says why."

OWN_KEY = "sandbox"
"""The key with which the server calls its own sandbox."""

BAD_KEYS = frozenset({"bad-key", "expired-key"})
"""Keys that are not accepted, to test that case. Every other key is a separate user."""

_SERVER = f"{SANDBOX_SERVER}/{version('decthings-mcp')}"


def create_sandbox(data: Path) -> Starlette:
    """Create the application.

    Args:
        data: the folder of its store, created if it does not exist.
    """
    store, evaluations = Store(data), Evaluations()
    with store.transaction() as transaction:
        seed(transaction, store.uploads)

    async def respond(request: Request) -> Response:
        method = f"{request.path_params['api']}/{request.path_params['method']}"
        if method not in Account.METHODS:
            return _text_response("Unknown method.", 404)
        if request.headers.get("content-type") != "application/octet-stream":
            return _text_response("The Content-Type must be application/octet-stream.", 400)
        try:
            return _frame_response(*await _call(store, evaluations, method, request))
        except (MalformedFrame, ClientDisconnect) as error:
            return _text_response(f"The body is not a frame: {error}.", 400)
        except (sqlite3.Error, OSError) as error:  # which rolled back
            _log.error("The sandbox cannot use its folder: %s", error)
            return _frame_response({"error": {"code": "unknown", "reason": _UNUSABLE_STORE}})

    return Starlette(routes=[Route("/v0/{api}/{method}", respond, methods=["POST"])])


async def _call(
    store: Store, evaluations: Evaluations, method: str, request: Request
) -> tuple[dict[str, Any], list[bytes]]:
    with tempfile.TemporaryDirectory(dir=store.uploads, ignore_cleanup_errors=True) as folder:
        params, blobs = await read_request(request.stream(), Path(folder))
        try:
            account = Account(store, evaluations, _key_of(request))
            result, outputs = await account.call(method, params, blobs)
            return {"result": result}, outputs
        except ErrorReply as reply:
            return {"error": reply.error}, []


def _key_of(request: Request) -> str:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    # Without a key, Decthings shows public items. For which methods is not documented: here for none.
    if scheme != "Bearer" or not key or key in BAD_KEYS:
        raise ErrorReply("bad_credentials")
    return key


def _headers() -> dict[str, str]:
    return {"Server": _SERVER, "Date": formatdate(usegmt=True)}


def _frame_response(reply: dict[str, Any], blobs: Sequence[bytes] = ()) -> Response:
    return Response(encode_response(reply, blobs), headers=_headers(), media_type="application/octet-stream")


def _text_response(text: str, status: int) -> Response:
    return PlainTextResponse(text, status, headers=_headers())
