"""The embedded Decthings as an ASGI application: frames in, frames out."""

from __future__ import annotations

import tempfile
from email.utils import formatdate
from importlib.metadata import version
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ...tools.decthings.varint import MalformedFrame
from ...tools.decthings.wire import encode_response
from .errors import Refused
from .frames import read_request
from .methods import Account
from .seed import seed
from .store import Store

OWN_KEY = "sandbox"
"""With which the server calls its own sandbox."""

BAD_KEYS = frozenset({"bad-key", "expired-key"})
"""Keys that it does not accept, to try that out. Every other one is a user of its own."""

_SERVER = f"decthings-mcp-sandbox/{version('decthings-mcp')}"


def create_sandbox(data: Path) -> Starlette:
    """
    Args:
        data: the folder of its store, made when it is missing.
    """
    store = Store(data)
    with store.transaction() as rows:
        seed(rows)

    async def answer(request: Request) -> Response:
        method = f"{request.path_params['api']}/{request.path_params['method']}"
        if method not in Account.METHODS:
            return _plain("There is no such method.", 404)
        if request.headers.get("content-type") != "application/octet-stream":
            return _plain("The Content-Type has to be application/octet-stream.", 400)
        try:
            return _frame(await _call(store, method, request))
        except (MalformedFrame, ClientDisconnect) as error:
            return _plain(f"The body is not a frame: {error}.", 400)

    return Starlette(routes=[Route("/v0/{api}/{method}", answer, methods=["POST"])])


async def _call(store: Store, method: str, request: Request) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=store.uploads) as folder:
        params, blobs = await read_request(request.stream(), Path(folder))
        try:
            account = Account(store, _key_of(request))
            return {"result": await account.call(method, params, blobs)}
        except Refused as refusal:
            return {"error": refusal.error}


def _key_of(request: Request) -> str:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    # Without a key Decthings shows what is public. Which methods that are is not documented: here none.
    if scheme != "Bearer" or not key or key in BAD_KEYS:
        raise Refused("bad_credentials")
    return key


def _headers() -> dict[str, str]:
    return {"Server": _SERVER, "Date": formatdate(usegmt=True)}


def _frame(reply: dict[str, Any]) -> Response:
    return Response(encode_response(reply), headers=_headers(), media_type="application/octet-stream")


def _plain(text: str, status: int) -> Response:
    return PlainTextResponse(text, status, headers=_headers())
