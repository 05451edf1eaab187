"""Upload links. A link holds the whole call but the file, encrypted with the key that all replicas share.

It is in the fragment of the URL, which browsers send to nobody; the page sends it in a header. So any replica can take
the upload, none remembers anything, and no log has it. Whoever has the link can upload one file for that call.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import zlib
from collections.abc import Mapping, Sequence
from time import time
from typing import Any, NamedTuple

from mcp.server.request_state import AESGCMRequestStateCodec, InvalidRequestState
from pydantic import SecretStr
from starlette.requests import Request

from ....tools.calls.services import Caller, UploadLink
from ....tools.results.errors import NoUploadLink
from ..names import is_own_name

PAGE_PATH = "/upload"
_VALID_MINUTES = 15
_VERSION = 1
_MAX_CHARACTERS = 7_000
"""nginx takes header lines of 8 KiB."""
_MAX_ARGUMENTS = 64 * 1024
"""Bytes, before they are compressed."""
_PURPOSE = b"decthings-mcp upload link"


class LinkRefused(Exception):
    """A link that cannot be used. `code` for programs; the message is for the person who opened it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class OpenedLink(NamedTuple):
    arguments: dict[str, Any]
    """Those of create_model, checked, without the file."""
    caller: Caller
    expires_at: int


class Links:
    """Makes and opens links; `keys` as `RequestStateSecurity` takes them: the first encrypts, all decrypt."""

    def __init__(self, keys: Sequence[str], public_url: str | None) -> None:
        # Keys of their own, so that no question's state passes for a link, nor a link for a state.
        own = [hmac.digest(key.encode(), _PURPOSE, hashlib.sha256) for key in keys]
        self._codec = AESGCMRequestStateCodec(own)
        self._public_url = public_url

    def create(self, arguments: Mapping[str, Any], caller: Caller, request: Request) -> UploadLink:
        """A link for a call.

        Raises:
            NoUploadLink: the arguments are too long.
        """
        key = None if caller.api_key is None else caller.api_key.get_secret_value()
        head, packed = _json([_VERSION, int(time()) + _VALID_MINUTES * 60, caller.name, key]), _json(arguments)
        # Only the arguments are compressed: with the key, the length would say something about it.
        sealed = self._codec.seal(head + b"\n" + zlib.compress(packed, 9))
        if len(sealed) > _MAX_CHARACTERS or len(packed) > _MAX_ARGUMENTS:
            raise NoUploadLink(
                "The arguments are too long for an upload link.",
                "Leave out parameterDefinitions and tags, or shorten the description, and set them with update_model "
                "when the model exists.",
            )
        return UploadLink(f"{self._base_url(request)}{PAGE_PATH}#{sealed}", _VALID_MINUTES)

    def open(self, sealed: str) -> OpenedLink:
        """What the link holds.

        Raises:
            LinkRefused
        """
        try:
            head, _, packed = self._codec.unseal(sealed).partition(b"\n")
        except InvalidRequestState:
            raise LinkRefused("link_invalid", _INVALID) from None
        version, expires_at, name, key = json.loads(head)
        if version != _VERSION or time() > expires_at:
            raise LinkRefused("link_expired", _EXPIRED)
        caller = Caller(name, None if key is None else SecretStr(key))
        return OpenedLink(json.loads(zlib.decompress(packed)), caller, expires_at)

    def _base_url(self, request: Request) -> str:
        """Where the caller reaches this server: its Host header was compared with the allowed ones."""
        if self._public_url is not None:
            return self._public_url
        host = request.headers.get("host", "")
        return f"{request.url.scheme if is_own_name(host) else 'https'}://{host}"


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


_INVALID = (
    "This link is not complete, was changed, or belongs to another server. Open it again from the chat, or ask there "
    "for a new one."
)
_EXPIRED = f"This link has expired: it is valid for {_VALID_MINUTES} minutes. Ask for a new one in the chat."
