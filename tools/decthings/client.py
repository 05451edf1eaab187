"""The Decthings API over HTTP: each call is one POST, with a frame as request and a frame as response."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import partial
from time import monotonic
from typing import Any, cast

import anyio
import anyio.to_thread
import httpx
from pydantic import SecretStr

from ..decthings_defaults import DEFAULT_URL, Timeouts
from .blobs import BlobSource, size_of
from .client_pool import ClientPool
from .errors import ApiError, DecthingsError, InvalidResponse
from .evaluations import EvaluationResult, Evaluations, evaluation_result, evaluations
from .json_codec import is_list, is_object
from .redact import redact
from .responses import Reply, parse_http_date, read_reply, result_of
from .sending import OnSent, RequestBody, SendProgress, transport_error
from .types import (
    CreatedModel,
    CreateModelParams,
    EvaluateParams,
    ListOfDatasets,
    ListOfModels,
    ListParams,
    ModelProperties,
)
from .wire import detach_blobs, encode_head

SANDBOX_SERVER = "decthings-mcp-sandbox"
"""The start of the Server header of an embedded Decthings."""

CURRENT_API_KEY: ContextVar[SecretStr | None] = ContextVar("decthings_api_key", default=None)
"""The API key of the current call, so that it can be removed from log lines."""

OnDate = Callable[[float], None]
"""Called with the time in Decthings' Date header, in milliseconds since 1970."""

OnCall = Callable[[str, DecthingsError | None, int, float], None]
"""Called after each call, with the method, the error (if any), the bytes sent and the seconds it took."""


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
        """Whether the last response came from an embedded Decthings, as its Server header says."""
        self.key_refused = False
        """Whether Decthings has refused the key."""

    def with_key(self, api_key: SecretStr) -> DecthingsClient:
        """A client for another account that uses the same pool."""
        return DecthingsClient(self._pool, self._url, api_key, self._timeouts, self._on_call)

    async def create_model(
        self, params: CreateModelParams, on_sent: OnSent | None = None, sending: SendProgress | None = None
    ) -> CreatedModel:
        """Create a model. `isNowCreating` is true while the initial state is being created, absent if not reported."""
        sending = sending or SendProgress()
        sending.on_sent = on_sent
        result = await self.call("Model/createModel", params, sending=sending)
        model_id = result.get("modelId")
        if not isinstance(model_id, str) or not model_id:
            raise InvalidResponse("Decthings' response has no modelId.", may_have_acted=True)
        creating = result.get("isNowCreating")
        return {"modelId": model_id, "isNowCreating": creating} if isinstance(creating, bool) else {"modelId": model_id}

    async def wait_for_model_to_be_created(self, model_id: str, timeout: float | None = None) -> dict[str, Any]:
        """Wait until the creation ends, `timeout` seconds at most (None: the usual timeout).

        The result has exactly one of `createModelFailed` and `createModelSuccess`.
        """
        result = await self.call("Model/waitForModelToBeCreated", {"modelId": model_id}, timeout=timeout)
        if len({"createModelFailed", "createModelSuccess"} & result.keys()) != 1:
            raise InvalidResponse("Decthings' response does not say how the creation ended.", may_have_acted=False)
        return result

    async def get_models(self, params: ListParams | None = None, on_date: OnDate | None = None) -> ListOfModels:
        return cast(ListOfModels, await self._list("Model/getModels", "models", params, on_date))

    async def get_datasets(self, params: ListParams | None = None) -> ListOfDatasets:
        return cast(ListOfDatasets, await self._list("Dataset/getDatasets", "datasets", params))

    async def delete_model(self, model_id: str, sending: SendProgress | None = None) -> None:
        """Delete a model. If it is still being created, the creation is cancelled."""
        await self.call("Model/deleteModel", {"modelId": model_id}, sending=sending)

    async def update_model(
        self, model_id: str, properties: ModelProperties, sending: SendProgress | None = None
    ) -> None:
        await self.call("Model/updateModel", {"modelId": model_id, "properties": properties}, sending=sending)

    async def snapshot_model(self, model_id: str, snapshot_name: str, sending: SendProgress | None = None) -> str:
        """Take a snapshot and return its id."""
        params = {"modelId": model_id, "snapshotName": snapshot_name}
        snapshot_id = (await self.call("Model/snapshotModel", params, sending=sending)).get("snapshotId")
        if not isinstance(snapshot_id, str) or not snapshot_id:
            raise InvalidResponse("Decthings' response has no snapshotId.", may_have_acted=True)
        return snapshot_id

    async def evaluate(
        self, params: EvaluateParams, timeout: float, sending: SendProgress | None = None
    ) -> EvaluationResult:
        """Run a model, and wait `timeout` seconds at most for its outputs."""
        reply = await self.call_with_outputs("Model/evaluate", params, timeout=timeout, sending=sending)
        return await _read_evaluation(reply, may_have_acted=True)

    async def get_evaluations(self, model_id: str) -> Evaluations:
        """The evaluations of a model that are running, and those that ended in the last minutes."""
        return evaluations(await self.call("Model/getEvaluations", {"modelId": model_id}))

    async def get_finished_evaluation_result(
        self, model_id: str, evaluation_id: str, timeout: float
    ) -> EvaluationResult:
        """The result of an evaluation; if it still runs, wait for it, `timeout` seconds at most."""
        params = {"modelId": model_id, "evaluationId": evaluation_id}
        reply = await self.call_with_outputs("Model/getFinishedEvaluationResult", params, timeout=timeout)
        return await _read_evaluation(reply, may_have_acted=False)

    async def cancel_evaluation(self, model_id: str, evaluation_id: str, sending: SendProgress | None = None) -> None:
        params = {"modelId": model_id, "evaluationId": evaluation_id}
        await self.call("Model/cancelEvaluation", params, sending=sending)

    async def _list(
        self, path: str, field: str, params: ListParams | None, on_date: OnDate | None = None
    ) -> dict[str, Any]:
        result = await self.call(path, params or {}, on_date=on_date)
        items, total = result.get(field), result.get("total")
        all_objects = is_list(items) and all(map(is_object, items))
        if not all_objects or not isinstance(total, int):
            raise InvalidResponse(f"Decthings' response has no list of {field}.", may_have_acted=False)
        return result

    async def call(
        self,
        path: str,
        params: Mapping[str, Any],
        *,
        timeout: float | None = None,
        on_date: OnDate | None = None,
        sending: SendProgress | None = None,
    ) -> dict[str, Any]:
        """Call one method and return its `result`, as `call_with_outputs` does, without blobs."""
        return (await self._call_and_report(path, params, timeout, on_date, sending, with_outputs=False))[0]

    async def call_with_outputs(
        self,
        path: str,
        params: Mapping[str, Any],
        *,
        timeout: float | None = None,
        sending: SendProgress | None = None,
    ) -> Reply:
        """Call one method and return its `result` and the blobs of the response.

        Args:
            path: the API and the method, like "Model/getModels".
            params: as on the API page, with `Blob` and `Tensor` for binary data.
            timeout: seconds to wait for the response, for methods that block.
            sending: is updated while the request is sent, so that it can be read after a cancellation.
        """
        return await self._call_and_report(path, params, timeout, None, sending, with_outputs=True)

    async def _call_and_report(
        self,
        path: str,
        params: Mapping[str, Any],
        timeout: float | None,
        on_date: OnDate | None,
        sending: SendProgress | None,
        *,
        with_outputs: bool,
    ) -> Reply:
        sending = sending or SendProgress()
        CURRENT_API_KEY.set(self._api_key)
        started, failure = monotonic(), None
        try:
            return await self._call(path, params, timeout, on_date, sending, with_outputs=with_outputs)
        except DecthingsError as error:
            failure, sending.refused = error, not error.may_have_acted
            self.key_refused = isinstance(error, ApiError) and error.code == "bad_credentials"
            raise
        finally:
            if self._on_call is not None:
                self._on_call(path.rpartition("/")[2], failure, sending.sent, monotonic() - started)
            failure = None  # its traceback refers to this frame: the cycle would keep the whole request in memory

    async def _call(
        self,
        path: str,
        params: Mapping[str, Any],
        timeout: float | None,
        on_date: OnDate | None,
        sending: SendProgress,
        *,
        with_outputs: bool,
    ) -> Reply:
        document, blobs = detach_blobs(params)
        body = RequestBody(encode_head(document, [size_of(blob) for blob in blobs]), blobs, sending)
        # Uploads that make progress, and methods that block, may take longer.
        long_running = timeout is not None or any(isinstance(blob, BlobSource) for blob in blobs)
        try:
            with anyio.fail_after(None if long_running else self._timeouts.request):
                async with self._pool.take(self._timeouts.response, long_running=long_running) as http:
                    reply, blobs = await self._send(http, path, body, timeout, on_date, with_outputs=with_outputs)
            return result_of(redact(reply, self._api_key)), blobs
        except RecursionError as error:
            raise InvalidResponse("The response is nested too deeply.", may_have_acted=sending.complete) from error
        except DecthingsError:
            raise
        except Exception as error:
            # Of libraries below httpx too, such as a malformed TLS record: whatever it is, the response is lost.
            if not (sending.complete or isinstance(error, (httpx.RequestError, TimeoutError))):
                raise
            raise transport_error(error, sending) from error
        finally:
            body.release()

    async def _send(
        self,
        http: httpx.AsyncClient,
        path: str,
        body: RequestBody,
        timeout: float | None,
        on_date: OnDate | None,
        *,
        with_outputs: bool,
    ) -> Reply:
        seconds = self._timeouts
        limits = httpx.Timeout(
            connect=seconds.connect, pool=seconds.connect, write=seconds.send, read=timeout or seconds.response
        )
        url, headers = f"{self._url}/{path}", self._headers(body.size)
        async with http.stream("POST", url, content=body, headers=headers, timeout=limits) as response:
            self._read_headers(response, on_date)
            return await read_reply(response, request_complete=body.sending.complete, with_outputs=with_outputs)

    def _read_headers(self, response: httpx.Response, on_date: OnDate | None) -> None:
        self.in_sandbox = response.headers.get("server", "").startswith(SANDBOX_SERVER)
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


async def _read_evaluation(reply: Reply, *, may_have_acted: bool) -> EvaluationResult:
    """The result of an evaluation, read in a thread: it can have millions of bytes of elements."""
    return await anyio.to_thread.run_sync(partial(evaluation_result, *reply, may_have_acted=may_have_acted))
