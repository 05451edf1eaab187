"""The Decthings API over HTTP: one call is one POST of a frame, answered by a frame."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from time import monotonic
from typing import Any, cast

import anyio
import httpx
from pydantic import SecretStr

from ..decthings_defaults import DEFAULT_URL, Timeouts
from .blobs import Blob, BlobSource, chunks_of, size_of
from .client_pool import ClientPool
from .errors import (
    ApiError,
    ConnectionFailed,
    DecthingsError,
    InvalidRequest,
    InvalidResponse,
    NoResponse,
    RequestInterrupted,
)
from .json_codec import is_list, is_object, redact
from .responses import parse_http_date, read_result
from .types import CreatedModel, CreateModelParams, ListOfDatasets, ListOfModels, ListParams, ModelProperties
from .wire import detach_blobs, encode_head

_SMALL_CHUNK, _LARGE_CHUNK = 1 << 16, 1 << 20
_FAST_CHUNK_SECONDS = 0.1
"""Seconds for a chunk."""


class SendProgress:
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

CURRENT_API_KEY: ContextVar[SecretStr | None] = ContextVar("decthings_api_key", default=None)
"""The key of the call that is under way, so that a log can leave it out."""

OnDate = Callable[[float], None]
"""Called with the time on Decthings' clock, from its Date header: milliseconds since 1970."""

OnCall = Callable[[str, DecthingsError | None, int, float], None]
"""Called with the method, the error if there was one, the bytes sent and the seconds, after each call."""

OnSent = Callable[[int, int], Awaitable[None]]
"""Awaited with the bytes handed to the connection so far, and those there are in all."""


class DecthingsClient:
    """`pool` are closed by whoever made them.

    Every method raises `ApiError` when Decthings answers with an error, and another `DecthingsError`
    when no usable answer comes; its `may_have_acted` tells whether the request can have had an effect.
    """

    def __init__(
        self,
        pool: ClientPool,
        url: str = DEFAULT_URL,
        api_key: SecretStr | None = None,
        timeouts: Timeouts | None = None,
        on_call: OnCall | None = None,
    ) -> None:
        self._pool = pool
        self._on_call = on_call
        self._url = url.rstrip("/")
        self._api_key = api_key
        self._timeouts = timeouts or Timeouts()
        self.in_sandbox = False
        """Whether the last answer came from an embedded Decthings, which says so in its Server header."""

    def with_key(self, api_key: SecretStr) -> DecthingsClient:
        """The same, over the same pool, for another account."""
        return DecthingsClient(self._pool, self._url, api_key, self._timeouts, self._on_call)

    async def create_model(
        self, params: CreateModelParams, on_sent: OnSent | None = None, sending: SendProgress | None = None
    ) -> CreatedModel:
        """`isNowCreating`: true while an initial state is being made, absent when Decthings does not say."""
        result = await self.call("Model", "createModel", params, on_sent=on_sent, sending=sending)
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

    async def delete_model(self, model_id: str, sending: SendProgress | None = None) -> None:
        """A creation that is under way is cancelled."""
        await self.call("Model", "deleteModel", {"modelId": model_id}, sending=sending)

    async def update_model(
        self, model_id: str, properties: ModelProperties, sending: SendProgress | None = None
    ) -> None:
        await self.call("Model", "updateModel", {"modelId": model_id, "properties": properties}, sending=sending)

    async def snapshot_model(self, model_id: str, snapshot_name: str, sending: SendProgress | None = None) -> str:
        """The id of the new snapshot."""
        params = {"modelId": model_id, "snapshotName": snapshot_name}
        snapshot_id = (await self.call("Model", "snapshotModel", params, sending=sending)).get("snapshotId")
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
        sending: SendProgress | None = None,
    ) -> dict[str, Any]:
        """One RPC; its `result`.

        Args:
            params: in the form of the API page, with `Blob` and `Tensor` where it has binary data.
            timeout: seconds to wait for the answer, for methods that block.
            sending: is kept up to date, for those who are cancelled and want to know.
        """
        sending = sending or SendProgress()
        CURRENT_API_KEY.set(self._api_key)
        begun, failure = monotonic(), None
        try:
            return await self._call(f"{api}/{method}", params, timeout, on_sent, on_date, sending)
        except DecthingsError as error:
            failure, sending.refused = error, not error.may_have_acted
            raise
        finally:
            if self._on_call is not None:
                self._on_call(method, failure, sending.sent, monotonic() - begun)
            failure = None  # its traceback leads back here: a circle that would keep the whole request for long

    async def _call(
        self,
        path: str,
        params: Mapping[str, Any],
        timeout: float | None,
        on_sent: OnSent | None,
        on_date: OnDate | None,
        sending: SendProgress,
    ) -> dict[str, Any]:
        document, blobs = detach_blobs(params)
        body = _Body(encode_head(document, [size_of(blob) for blob in blobs]), blobs, on_sent, sending)
        allowed = self._timeouts
        limits = httpx.Timeout(
            connect=allowed.connect, pool=allowed.connect, write=allowed.send, read=timeout or allowed.response
        )
        # An upload may take its time, as long as it goes on; so may a method that blocks.
        long_running = timeout is not None or any(isinstance(blob, BlobSource) for blob in blobs)
        url, headers = f"{self._url}/{path}", self._headers(body.size)
        try:
            with anyio.fail_after(None if long_running else allowed.request):
                async with (
                    self._pool.take(allowed.response, long_running=long_running) as http,
                    http.stream("POST", url, content=body, headers=headers, timeout=limits) as response,
                ):
                    self._read_headers(response, on_date)
                    return redact(await read_result(response, request_complete=sending.complete), self._api_key)
        except ApiError as error:
            raise ApiError(redact(error.code, self._api_key), redact(error.details, self._api_key)) from None
        except RecursionError as error:
            raise InvalidResponse("The answer is nested too deeply.", may_have_acted=sending.complete) from error
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
            raise ConnectionFailed(
                f"No connection to Decthings could be made: {_connect_error_reason(error)}."
            ) from error
        except httpx.LocalProtocolError as error:
            raise InvalidRequest("The request could not be written as HTTP.") from error
        except (httpx.RequestError, TimeoutError) as error:
            raise _transport_error(error, sending) from error
        finally:
            body.release()

    def _read_headers(self, response: httpx.Response, on_date: OnDate | None) -> None:
        self.in_sandbox = response.headers.get("server", "").startswith("decthings-mcp-sandbox")
        if on_date is not None and (date := parse_http_date(response.headers.get("date", ""))) is not None:
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

    def __init__(self, head: bytes, blobs: Sequence[Blob], on_sent: OnSent | None, sending: SendProgress) -> None:
        self._parts: list[Blob] = [head, *blobs]
        self._on_sent = on_sent
        self._delivery = sending
        sending.begin()  # a call that is repeated begins anew
        self.size = sum(map(size_of, self._parts))

    def release(self) -> None:
        """httpx keeps a request in a circle with its response until the garbage collector comes."""
        self._parts = []

    async def __aiter__(self) -> AsyncIterator[bytes]:
        sending = self._delivery
        async for chunk in self._paced():
            # Before the yield: what is handed over may arrive, whatever is heard of it afterwards.
            sending.sent += len(chunk)
            sending.complete = sending.sent == self.size
            yield chunk
            if self._on_sent is not None:
                await self._on_sent(sending.sent, self.size)

    async def _paced(self) -> AsyncIterator[bytes]:
        """Pieces as large as the connection takes in good time: a time-out for one is not meant for a slow line."""
        length = _SMALL_CHUNK
        async for chunk in chunks_of(self._parts):
            start = 0
            while start < len(chunk):
                part = chunk[start : start + length]
                start += len(part)
                begun = monotonic()
                yield part
                taken = monotonic() - begun
                length = (
                    min(length * 2, _LARGE_CHUNK) if taken < _FAST_CHUNK_SECONDS else max(length // 2, _SMALL_CHUNK)
                )


def _transport_error(error: Exception, sending: SendProgress) -> NoResponse | RequestInterrupted | ConnectionFailed:
    if not sending.sent:
        return ConnectionFailed("No connection to Decthings could be made: it timed out.")
    if sending.complete:
        return NoResponse(f"The request was sent, and Decthings' answer did not come whole ({_name(error)}).")
    return RequestInterrupted(f"The connection broke before the whole request was sent ({_name(error)}).")


def _name(error: Exception) -> str:
    # Only the kind: the text of a connection error can name hosts and proxies.
    return type(error).__name__


def _connect_error_reason(error: BaseException) -> str:
    """The cause at the bottom of a failed connection, in words."""
    cause: BaseException | None = error
    while cause is not None:
        for kind, reason in _CAUSES.items():
            if isinstance(cause, kind):
                return reason
        cause = cause.__cause__ or cause.__context__
    return "it timed out" if isinstance(error, httpx.TimeoutException) else _name(cast(Exception, error))
