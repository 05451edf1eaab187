"""The Decthings API over HTTP: each call is one POST, with a frame as request and a frame as response."""

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
"""Chunks that are sent faster than this are made larger."""


class SendProgress:
    """How much of a request has been sent. `complete` becomes true when its last byte is given to the connection."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self.sent = 0
        self.complete = self.refused = False

    @property
    def may_have_acted(self) -> bool:
        """Whether the request may have had an effect."""
        return self.complete and not self.refused


_CAUSES: dict[type[BaseException], str] = {
    httpx.ProxyError: "the proxy refused the connection",
    ssl.SSLCertVerificationError: "the server's certificate is not trusted (set SSL_CERT_FILE to trust another one)",
    ssl.SSLError: "the TLS handshake failed",
    socket.gaierror: "the host name was not found",
    ConnectionRefusedError: "the connection was refused",
}

CURRENT_API_KEY: ContextVar[SecretStr | None] = ContextVar("decthings_api_key", default=None)
"""The API key of the current call, so that it can be removed from log lines."""

OnDate = Callable[[float], None]
"""Called with the time in Decthings' Date header, in milliseconds since 1970."""

OnCall = Callable[[str, DecthingsError | None, int, float], None]
"""Called after each call, with the method, the error (if any), the bytes sent and the seconds it took."""

OnSent = Callable[[int, int], Awaitable[None]]
"""Awaited with the number of bytes sent so far and the total number."""


class DecthingsClient:
    """The methods of the Decthings API that the tools use. The caller closes `pool`.

    Every method raises `ApiError` when Decthings returns an error, and another `DecthingsError` when there
    is no valid response; its `may_have_acted` says whether the request may have had an effect.
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
        """Whether the last response came from an embedded Decthings, which says so in its Server header."""

    def with_key(self, api_key: SecretStr) -> DecthingsClient:
        """A client for another account that uses the same pool."""
        return DecthingsClient(self._pool, self._url, api_key, self._timeouts, self._on_call)

    async def create_model(
        self, params: CreateModelParams, on_sent: OnSent | None = None, sending: SendProgress | None = None
    ) -> CreatedModel:
        """Create a model. `isNowCreating` is true while the initial state is being created, absent if not reported."""
        result = await self.call("Model", "createModel", params, on_sent=on_sent, sending=sending)
        model_id = result.get("modelId")
        if not isinstance(model_id, str) or not model_id:
            raise InvalidResponse("Decthings' response has no modelId.", may_have_acted=True)
        creating = result.get("isNowCreating")
        return {"modelId": model_id, "isNowCreating": creating} if isinstance(creating, bool) else {"modelId": model_id}

    async def wait_for_model_to_be_created(self, model_id: str, timeout: float | None = None) -> dict[str, Any]:
        """Wait until the creation ends, `timeout` seconds at most (None: the usual timeout).

        The result has exactly one of `createModelFailed` and `createModelSuccess`.
        """
        result = await self.call("Model", "waitForModelToBeCreated", {"modelId": model_id}, timeout=timeout)
        if len({"createModelFailed", "createModelSuccess"} & result.keys()) != 1:
            raise InvalidResponse("Decthings' response does not say how the creation ended.", may_have_acted=False)
        return result

    async def get_models(self, params: ListParams | None = None, on_date: OnDate | None = None) -> ListOfModels:
        return cast(ListOfModels, await self._list("Model", "getModels", "models", params, on_date))

    async def get_datasets(self, params: ListParams | None = None) -> ListOfDatasets:
        return cast(ListOfDatasets, await self._list("Dataset", "getDatasets", "datasets", params))

    async def delete_model(self, model_id: str, sending: SendProgress | None = None) -> None:
        """Delete a model. If it is still being created, the creation is cancelled."""
        await self.call("Model", "deleteModel", {"modelId": model_id}, sending=sending)

    async def update_model(
        self, model_id: str, properties: ModelProperties, sending: SendProgress | None = None
    ) -> None:
        await self.call("Model", "updateModel", {"modelId": model_id, "properties": properties}, sending=sending)

    async def snapshot_model(self, model_id: str, snapshot_name: str, sending: SendProgress | None = None) -> str:
        """Take a snapshot and return its id."""
        params = {"modelId": model_id, "snapshotName": snapshot_name}
        snapshot_id = (await self.call("Model", "snapshotModel", params, sending=sending)).get("snapshotId")
        if not isinstance(snapshot_id, str) or not snapshot_id:
            raise InvalidResponse("Decthings' response has no snapshotId.", may_have_acted=True)
        return snapshot_id

    async def _list(
        self, api: str, method: str, field: str, params: ListParams | None, on_date: OnDate | None = None
    ) -> dict[str, Any]:
        result = await self.call(api, method, params or {}, on_date=on_date)
        items, total = result.get(field), result.get("total")
        all_objects = is_list(items) and all(map(is_object, items))
        if not all_objects or not isinstance(total, int):
            raise InvalidResponse(f"Decthings' response has no list of {field}.", may_have_acted=False)
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
        """Call one method and return its `result`.

        Args:
            params: as on the API page, with `Blob` and `Tensor` for binary data.
            timeout: seconds to wait for the response, for methods that block.
            sending: is updated while the request is sent, so that it can be read after a cancellation.
        """
        sending = sending or SendProgress()
        CURRENT_API_KEY.set(self._api_key)
        started, failure = monotonic(), None
        try:
            return await self._call(f"{api}/{method}", params, timeout, on_sent, on_date, sending)
        except DecthingsError as error:
            failure, sending.refused = error, not error.may_have_acted
            raise
        finally:
            if self._on_call is not None:
                self._on_call(method, failure, sending.sent, monotonic() - started)
            failure = None  # its traceback refers to this frame: the cycle would keep the whole request in memory

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
        timeouts = self._timeouts
        limits = httpx.Timeout(
            connect=timeouts.connect, pool=timeouts.connect, write=timeouts.send, read=timeout or timeouts.response
        )
        # Uploads that make progress, and methods that block, may take longer.
        long_running = timeout is not None or any(isinstance(blob, BlobSource) for blob in blobs)
        url, headers = f"{self._url}/{path}", self._headers(body.size)
        try:
            with anyio.fail_after(None if long_running else timeouts.request):
                async with (
                    self._pool.take(timeouts.response, long_running=long_running) as http,
                    http.stream("POST", url, content=body, headers=headers, timeout=limits) as response,
                ):
                    self._read_headers(response, on_date)
                    return redact(await read_result(response, request_complete=sending.complete), self._api_key)
        except ApiError as error:
            raise ApiError(redact(error.code, self._api_key), redact(error.details, self._api_key)) from None
        except RecursionError as error:
            raise InvalidResponse("The response is nested too deeply.", may_have_acted=sending.complete) from error
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
            raise ConnectionFailed(f"Could not connect to Decthings: {_connect_error_reason(error)}.") from error
        except httpx.LocalProtocolError as error:
            raise InvalidRequest("The request could not be sent as HTTP.") from error
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
            # Frames are binary already, and an uncompressed response cannot grow while it is read.
            "Accept-Encoding": "identity",
        }
        if self._api_key is not None:
            headers["Authorization"] = f"Bearer {self._api_key.get_secret_value()}"
        return headers


class _Body:
    """The body of a request: a frame, sent in chunks."""

    def __init__(self, head: bytes, blobs: Sequence[Blob], on_sent: OnSent | None, sending: SendProgress) -> None:
        self._parts: list[Blob] = [head, *blobs]
        self._on_sent = on_sent
        self._sending = sending
        sending.begin()  # a retried call starts again
        self.size = sum(map(size_of, self._parts))

    def release(self) -> None:
        """Drop the parts now: httpx keeps request and response in a reference cycle until garbage collection."""
        self._parts = []

    async def __aiter__(self) -> AsyncIterator[bytes]:
        sending = self._sending
        async for chunk in self._paced():
            # Before the yield: what is given to the connection may arrive, whatever happens afterwards.
            sending.sent += len(chunk)
            sending.complete = sending.sent == self.size
            yield chunk
            if self._on_sent is not None:
                await self._on_sent(sending.sent, self.size)

    async def _paced(self) -> AsyncIterator[bytes]:
        """Chunks of a size that the connection sends quickly, so that a slow connection does not time out on one."""
        length = _SMALL_CHUNK
        async for chunk in chunks_of(self._parts):
            start = 0
            while start < len(chunk):
                part = chunk[start : start + length]
                start += len(part)
                started = monotonic()
                yield part
                taken = monotonic() - started
                length = (
                    min(length * 2, _LARGE_CHUNK) if taken < _FAST_CHUNK_SECONDS else max(length // 2, _SMALL_CHUNK)
                )


def _transport_error(error: Exception, sending: SendProgress) -> NoResponse | RequestInterrupted | ConnectionFailed:
    if not sending.sent:
        return ConnectionFailed("Could not connect to Decthings: the connection timed out.")
    if sending.complete:
        return NoResponse(f"The request was sent, but no complete response was received ({_name(error)}).")
    return RequestInterrupted(f"The connection was lost before the whole request was sent ({_name(error)}).")


def _name(error: Exception) -> str:
    # Only the class: the message of a connection error can contain hosts and proxies.
    return type(error).__name__


def _connect_error_reason(error: BaseException) -> str:
    """Why the connection failed: a sentence for the first known cause in the chain."""
    cause: BaseException | None = error
    while cause is not None:
        for kind, reason in _CAUSES.items():
            if isinstance(cause, kind):
                return reason
        cause = cause.__cause__ or cause.__context__
    return "the connection timed out" if isinstance(error, httpx.TimeoutException) else _name(cast(Exception, error))
