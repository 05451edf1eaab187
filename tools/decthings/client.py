"""The Decthings API over HTTP: one call is one POST of a frame, answered by a frame."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from time import monotonic
from typing import Any, cast

import anyio
import httpx
from pydantic import SecretStr

from .blobs import Blob, BlobSource, pieces_of, size_of
from .client_pool import Connections
from .errors import (
    ApiError,
    ConnectionFailed,
    DecthingsError,
    InvalidRequest,
    InvalidResponse,
    NoResponse,
    RequestCutShort,
)
from .json_codec import is_list, is_object, without
from .responses import read_date, read_result
from .types import CreatedModel, CreateModelParams, ListOfDatasets, ListOfModels, ListParams, ModelProperties
from .wire import detach_blobs, encode_head

DEFAULT_URL = "https://api.decthings.com/v0"


@dataclass(frozen=True)
class Timeouts:
    """Seconds: until a connection stands, that sending may stand still, and that the answer may keep one waiting."""

    connect: float = 5
    send: float = 20
    answer: float = 20
    request: float = 28
    """For all of that together, unless there is an upload: one may last, as long as it goes on."""


_SMALL_PIECE, _LARGE_PIECE = 1 << 16, 1 << 20
_GOOD_TIME = 0.1
"""Seconds for a piece."""


class Delivery:
    """How far a request has got. `complete` turns true when its last byte is handed to the connection."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self.sent = 0
        self.complete = self.refused = False

    @property
    def may_have_acted(self) -> bool:
        """Whether the request can have had an effect."""
        return self.complete and not self.refused


_CAUSES: dict[type[BaseException], str] = {
    httpx.ProxyError: "the proxy refused it",
    ssl.SSLCertVerificationError: "the certificate that was shown is not trusted (SSL_CERT_FILE names others to trust)",
    ssl.SSLError: "TLS could not be agreed on",
    socket.gaierror: "the name of the host was not found",
    ConnectionRefusedError: "nothing listens there",
}

IN_USE: ContextVar[SecretStr | None] = ContextVar("decthings_api_key", default=None)
"""The key of the call that is under way, so that a log can leave it out."""

OnDate = Callable[[float], None]
"""Called with the time on Decthings' clock, from its Date header: milliseconds since 1970."""

OnCall = Callable[[str, DecthingsError | None, int, float], None]
"""Called with the method, the error if there was one, the bytes sent and the seconds, after each call."""

OnSent = Callable[[int, int], Awaitable[None]]
"""Awaited with the bytes handed to the connection so far, and those there are in all."""


class DecthingsClient:
    """`connections` are closed by whoever made them.

    Every method raises `ApiError` when Decthings answers with an error, and another `DecthingsError`
    when no usable answer comes; its `may_have_acted` tells whether the request can have had an effect.
    """

    def __init__(
        self,
        connections: Connections,
        url: str = DEFAULT_URL,
        api_key: SecretStr | None = None,
        timeouts: Timeouts | None = None,
        on_call: OnCall | None = None,
    ) -> None:
        self._connections = connections
        self._on_call = on_call
        self._url = url.rstrip("/")
        self._api_key = api_key
        self._timeouts = timeouts or Timeouts()
        self.in_sandbox = False
        """Whether the last answer came from an embedded Decthings, which says so in its Server header."""

    def with_key(self, api_key: SecretStr) -> DecthingsClient:
        """The same, over the same connections, for another account."""
        return DecthingsClient(self._connections, self._url, api_key, self._timeouts, self._on_call)

    async def create_model(
        self, params: CreateModelParams, on_sent: OnSent | None = None, delivery: Delivery | None = None
    ) -> CreatedModel:
        """`isNowCreating`: true while an initial state is being made, absent when Decthings does not say."""
        result = await self.call("Model", "createModel", params, on_sent=on_sent, delivery=delivery)
        model_id = result.get("modelId")
        if not isinstance(model_id, str) or not model_id:
            raise InvalidResponse("Decthings' answer names no modelId.", may_have_acted=True)
        creating = result.get("isNowCreating")
        return {"modelId": model_id, "isNowCreating": creating} if isinstance(creating, bool) else {"modelId": model_id}

    async def wait_for_model_to_be_created(self, model_id: str, timeout: float | None = None) -> dict[str, Any]:
        """Blocks until the creation ends, `timeout` seconds at most (None: the usual time-out).

        Exactly one of `createModelFailed` and `createModelSuccess`: a failed creation is a result.
        """
        result = await self.call("Model", "waitForModelToBeCreated", {"modelId": model_id}, timeout=timeout)
        if len({"createModelFailed", "createModelSuccess"} & result.keys()) != 1:
            raise InvalidResponse("Decthings' answer does not say how the creation ended.", may_have_acted=False)
        return result

    async def get_models(self, params: ListParams | None = None, on_date: OnDate | None = None) -> ListOfModels:
        return cast(ListOfModels, await self._list("Model", "getModels", "models", params, on_date))

    async def get_datasets(self, params: ListParams | None = None) -> ListOfDatasets:
        return cast(ListOfDatasets, await self._list("Dataset", "getDatasets", "datasets", params))

    async def delete_model(self, model_id: str, delivery: Delivery | None = None) -> None:
        """A creation that is under way is cancelled."""
        await self.call("Model", "deleteModel", {"modelId": model_id}, delivery=delivery)

    async def update_model(self, model_id: str, properties: ModelProperties, delivery: Delivery | None = None) -> None:
        await self.call("Model", "updateModel", {"modelId": model_id, "properties": properties}, delivery=delivery)

    async def snapshot_model(self, model_id: str, snapshot_name: str, delivery: Delivery | None = None) -> str:
        """The id of the new snapshot."""
        params = {"modelId": model_id, "snapshotName": snapshot_name}
        snapshot_id = (await self.call("Model", "snapshotModel", params, delivery=delivery)).get("snapshotId")
        if not isinstance(snapshot_id, str) or not snapshot_id:
            raise InvalidResponse("Decthings' answer names no snapshotId.", may_have_acted=True)
        return snapshot_id

    async def _list(
        self, api: str, method: str, member: str, params: ListParams | None, on_date: OnDate | None = None
    ) -> dict[str, Any]:
        result = await self.call(api, method, params or {}, on_date=on_date)
        items, total = result.get(member), result.get("total")
        all_objects = is_list(items) and all(map(is_object, items))
        if not all_objects or not isinstance(total, int):
            raise InvalidResponse(f"Decthings' answer holds no list of {member}.", may_have_acted=False)
        return result

    async def call(
        self,
        api: str,
        method: str,
        params: Mapping[str, Any],
        *,
        timeout: float | None = None,
        on_sent: OnSent | None = None,
        on_date: OnDate | None = None,
        delivery: Delivery | None = None,
    ) -> dict[str, Any]:
        """One RPC; its `result`.

        Args:
            params: in the form of the API page, with `Blob` and `Tensor` where it has binary data.
            timeout: seconds to wait for the answer, for methods that block.
            delivery: is kept up to date, for those who are cancelled and want to know.
        """
        delivery = delivery or Delivery()
        IN_USE.set(self._api_key)
        begun, failure = monotonic(), None
        try:
            return await self._call(f"{api}/{method}", params, timeout, on_sent, on_date, delivery)
        except DecthingsError as error:
            failure, delivery.refused = error, not error.may_have_acted
            raise
        finally:
            if self._on_call is not None:
                self._on_call(method, failure, delivery.sent, monotonic() - begun)
            failure = None  # its traceback leads back here: a circle that would keep the whole request for long

    async def _call(
        self,
        path: str,
        params: Mapping[str, Any],
        timeout: float | None,
        on_sent: OnSent | None,
        on_date: OnDate | None,
        delivery: Delivery,
    ) -> dict[str, Any]:
        document, blobs = detach_blobs(params)
        body = _Body(encode_head(document, [size_of(blob) for blob in blobs]), blobs, on_sent, delivery)
        allowed = self._timeouts
        limits = httpx.Timeout(
            connect=allowed.connect, pool=allowed.connect, write=allowed.send, read=timeout or allowed.answer
        )
        # An upload may take its time, as long as it goes on; so may a method that blocks.
        lasting = timeout is not None or any(isinstance(blob, BlobSource) for blob in blobs)
        url, headers = f"{self._url}/{path}", self._headers(body.size)
        try:
            with anyio.fail_after(None if lasting else allowed.request):
                async with (
                    self._connections.take(allowed.answer, lasting=lasting) as http,
                    http.stream("POST", url, content=body, headers=headers, timeout=limits) as response,
                ):
                    self._note_headers(response, on_date)
                    return without(await read_result(response, request_complete=delivery.complete), self._api_key)
        except ApiError as error:
            raise ApiError(without(error.code, self._api_key), without(error.details, self._api_key)) from None
        except RecursionError as error:
            raise InvalidResponse("The answer is nested too deeply.", may_have_acted=delivery.complete) from error
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
            raise ConnectionFailed(f"No connection to Decthings could be made: {_why(error)}.") from error
        except httpx.LocalProtocolError as error:
            raise InvalidRequest("The request could not be written as HTTP.") from error
        except (httpx.RequestError, TimeoutError) as error:
            raise _broken_off(error, delivery) from error
        finally:
            body.release()

    def _note_headers(self, response: httpx.Response, on_date: OnDate | None) -> None:
        self.in_sandbox = response.headers.get("server", "").startswith("decthings-mcp-sandbox")
        if on_date is not None and (date := read_date(response.headers.get("date", ""))) is not None:
            on_date(date.timestamp() * 1000)

    def _headers(self, content_length: int) -> dict[str, str]:
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(content_length),
            # Frames are binary already, and an uncompressed answer cannot blow up while it is read.
            "Accept-Encoding": "identity",
        }
        if self._api_key is not None:
            headers["Authorization"] = f"Bearer {self._api_key.get_secret_value()}"
        return headers


class _Body:
    """A request frame as it is sent."""

    def __init__(self, head: bytes, blobs: Sequence[Blob], on_sent: OnSent | None, delivery: Delivery) -> None:
        self._parts: list[Blob] = [head, *blobs]
        self._on_sent = on_sent
        self._delivery = delivery
        delivery.begin()  # a call that is repeated begins anew
        self.size = sum(map(size_of, self._parts))

    def release(self) -> None:
        """httpx keeps a request in a circle with its response until the garbage collector comes."""
        self._parts = []

    async def __aiter__(self) -> AsyncIterator[bytes]:
        delivery = self._delivery
        async for piece in self._paced():
            # Before the yield: what is handed over may arrive, whatever is heard of it afterwards.
            delivery.sent += len(piece)
            delivery.complete = delivery.sent == self.size
            yield piece
            if self._on_sent is not None:
                await self._on_sent(delivery.sent, self.size)

    async def _paced(self) -> AsyncIterator[bytes]:
        """Pieces as large as the connection takes in good time: a time-out for one is not meant for a slow line."""
        length = _SMALL_PIECE
        async for piece in pieces_of(self._parts):
            start = 0
            while start < len(piece):
                part = piece[start : start + length]
                start += len(part)
                begun = monotonic()
                yield part
                taken = monotonic() - begun
                length = min(length * 2, _LARGE_PIECE) if taken < _GOOD_TIME else max(length // 2, _SMALL_PIECE)


def _broken_off(error: Exception, delivery: Delivery) -> NoResponse | RequestCutShort | ConnectionFailed:
    if not delivery.sent:
        return ConnectionFailed("No connection to Decthings could be made: it timed out.")
    if delivery.complete:
        return NoResponse(f"The request was sent, and Decthings' answer did not come whole ({_name(error)}).")
    return RequestCutShort(f"The connection broke before the whole request was sent ({_name(error)}).")


def _name(error: Exception) -> str:
    # Only the kind: the text of a connection error can name hosts and proxies.
    return type(error).__name__


def _why(error: BaseException) -> str:
    """The cause at the bottom of a failed connection, in words."""
    cause: BaseException | None = error
    while cause is not None:
        for kind, reason in _CAUSES.items():
            if isinstance(cause, kind):
                return reason
        cause = cause.__cause__ or cause.__context__
    return "it timed out" if isinstance(error, httpx.TimeoutException) else _name(cast(Exception, error))
