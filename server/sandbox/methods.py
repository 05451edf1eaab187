"""The API methods of the sandbox. Each key is a separate user; names of models are unique per user."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar
from uuid import uuid4

import anyio
import anyio.to_thread

from ...tools.decthings.types import Filter
from .errors import ErrorReply
from .evaluations import Evaluations, Job, Reply, StoredFile
from .frames import ReceivedBlob
from .models import (
    CREATION_MS,
    FAIL_TAG,
    FAILURES,
    ModelBuilder,
    copy_program,
    program_file,
    read_providers,
    snapshot_of,
    store_uploads,
)
from .requests import CreateModel, Evaluate, EvaluationRef, ListItems, ModelRef, SnapshotModel, UpdateModel, parse
from .seed import OWNER as EXAMPLES_OWNER
from .store import Document, Store, Transaction

Result = dict[str, Any]


class Account:
    """The methods for one caller, who can read own and public items, and change own ones."""

    def __init__(self, store: Store, evaluations: Evaluations, api_key: str) -> None:
        self._store = store
        self._evaluations = evaluations
        self._user = "user-" + hashlib.sha256(api_key.encode()).hexdigest()[:12]

    async def call(self, method: str, params: dict[str, Any], blobs: list[ReceivedBlob]) -> Reply:
        """Run a method and return its result, and the blobs of it.

        Args:
            method: one of `METHODS`.

        Raises:
            ErrorReply: the error to respond with.
        """
        match method:
            case "Model/waitForModelToBeCreated":
                return await self._wait(params), []
            case "Model/evaluate":
                return await self._evaluations.evaluate(await anyio.to_thread.run_sync(self._job, params, blobs))
            case "Model/getEvaluations":
                model_id = await anyio.to_thread.run_sync(self._readable_id, parse(ModelRef, params)["modelId"])
                return self._evaluations.listed(model_id), []
            case "Model/getFinishedEvaluationResult" | "Model/cancelEvaluation":
                return await self._one_evaluation(method, parse(EvaluationRef, params))
            case _:
                return await anyio.to_thread.run_sync(self._HANDLERS[method], self, params, blobs), []

    def _create_model(self, params: dict[str, Any], blobs: list[ReceivedBlob], /) -> Result:
        checked = parse(CreateModel, params)
        now = _now()
        with self._store.transaction() as transaction:
            builder = ModelBuilder(transaction, lambda model_id: self._readable(transaction, model_id)[0], blobs, now)
            document, creating = builder.document(checked)
            transaction.add_model(document, self._user, ready_at=now + CREATION_MS if creating else now)
            store_uploads(blobs, self._store.uploads / document["id"])
            if checked["options"]["type"] == "fromExisting":
                copy_program(self._store.uploads, checked["options"]["modelId"], document["id"])
        return {"modelId": document["id"], "isNowCreating": creating}

    def _job(self, params: dict[str, Any], blobs: list[ReceivedBlob]) -> Job:
        """What an `evaluate` runs."""
        checked = parse(Evaluate, params)
        with self._store.transaction() as transaction:
            document, _, ready_at = self._readable(transaction, checked["modelId"])
            if "snapshotId" in checked:
                snapshot_of(document, checked["snapshotId"])
            inputs = read_providers(transaction, checked["params"], blobs, "params")
        reason = _not_runnable(document, checked["params"], ready_at)
        program = None if reason else StoredFile(program_file(self._store.uploads, document["id"]))
        return Job(document["id"], document.get("format"), program, inputs, reason)

    async def _one_evaluation(self, method: str, checked: EvaluationRef) -> Reply:
        model_id = await anyio.to_thread.run_sync(self._readable_id, checked["modelId"])
        if method == "Model/cancelEvaluation":
            self._evaluations.cancel(model_id, checked["evaluationId"])
            return {}, []
        return await self._evaluations.finished(model_id, checked["evaluationId"])

    def _readable_id(self, model_id: str) -> str:
        with self._store.transaction() as transaction:
            return self._readable(transaction, model_id)[0]["id"]

    async def _wait(self, params: dict[str, Any]) -> Result:
        model_id = parse(ModelRef, params)["modelId"]
        document, remaining = await anyio.to_thread.run_sync(self._in_creation, model_id)
        if remaining <= 0 and FAIL_TAG not in document:
            raise ErrorReply("model_already_created")
        await anyio.sleep(max(remaining, 0) / 1000)
        try:
            await anyio.to_thread.run_sync(self._in_creation, model_id)
        except ErrorReply:  # deleted in the meantime
            return {"createModelFailed": {"error": {"code": "cancelled"}}}
        if FAIL_TAG in document:
            return {"createModelFailed": {"error": FAILURES[document[FAIL_TAG]]}}
        durations = {"createLauncher": 1000, "codeStartup": 1000, "createState": CREATION_MS - 2000}
        return {"createModelSuccess": {"createInitialStateDurations": durations}}

    def _in_creation(self, model_id: str) -> tuple[Document, int]:
        """The model, and the milliseconds until it is ready."""
        with self._store.transaction() as transaction:
            document, _, ready_at = self._readable(transaction, model_id)
        return document, ready_at - _now()

    def _get_models(self, params: dict[str, Any], _: list[ReceivedBlob], /) -> Result:
        with self._store.transaction() as transaction:
            models = [
                self._model_page(transaction, document, owner, ready_at)
                for document, owner, ready_at in transaction.models()
                if self._may_read(document, owner)
            ]
        return _page("models", models, parse(ListItems, params))

    def _get_datasets(self, params: dict[str, Any], _: list[ReceivedBlob], /) -> Result:
        with self._store.transaction() as transaction:
            datasets = [
                {**document, **self._ownership(owner)}
                for document, owner in transaction.datasets()
                if self._may_read(document, owner)
            ]
        return _page("datasets", datasets, parse(ListItems, params))

    def _delete_model(self, params: dict[str, Any], _: list[ReceivedBlob], /) -> Result:
        with self._store.transaction() as transaction:
            model_id = self._own(transaction, parse(ModelRef, params)["modelId"])["id"]
            transaction.delete_model(model_id)
        shutil.rmtree(self._store.uploads / model_id, ignore_errors=True)
        return {}

    def _update_model(self, params: dict[str, Any], _: list[ReceivedBlob], /) -> Result:
        checked = parse(UpdateModel, params)
        with self._store.transaction() as transaction:
            transaction.change_model({**self._own(transaction, checked["modelId"]), **checked["properties"]})
        return {}

    def _snapshot_model(self, params: dict[str, Any], _: list[ReceivedBlob], /) -> Result:
        checked = parse(SnapshotModel, params)
        with self._store.transaction() as transaction:
            model = self._own(transaction, checked["modelId"])
            active = [state for state in model["states"] if state["id"] == model.get("activeState")]
            # Whether a model without a state can have a snapshot is not documented: here it can.
            state: Document = active[0] if active else {"name": "", "state": [], "mountedModels": []}
            snapshot: Document = {
                "id": str(uuid4()),
                "name": checked["snapshotName"],
                "createdAt": _now(),
                "parameterDefinitions": model["parameterDefinitions"],
                "state": {member: state[member] for member in ("name", "state", "mountedModels")},
            }
            transaction.add_snapshot(model["id"], snapshot)
        return {"snapshotId": snapshot["id"]}

    def _may_read(self, document: Document, owner: str) -> bool:
        return owner == self._user or document["publicAccess"]

    def _readable(self, transaction: Transaction, model_id: str) -> tuple[Document, str, int]:
        model = transaction.model(model_id)
        if model is None or not self._may_read(model[0], model[1]):
            raise ErrorReply("model_not_found")
        return model

    def _own(self, transaction: Transaction, model_id: str) -> Document:
        document, owner, _ = self._readable(transaction, model_id)
        if owner != self._user:
            raise ErrorReply("access_denied")
        return {member: value for member, value in document.items() if member != "snapshots"}

    def _ownership(self, owner: str) -> Document:
        name = owner if owner == EXAMPLES_OWNER else f"sandbox-{owner}"
        return {
            "owner": {"type": "user", "userId": owner, "username": name},
            "access": "readwrite" if owner == self._user else "read",
        }

    def _model_page(self, transaction: Transaction, document: Document, owner: str, ready_at: int) -> Document:
        page: Document = {
            **{member: value for member, value in document.items() if member != FAIL_TAG},
            **self._ownership(owner),
            "beingCreated": ready_at > _now(),
            "ongoingTrainingSessions": [],
            "trainingSessions": [],
        }
        if based_on := document.get("basedOnSnapshot"):
            page["basedOnSnapshot"] = {**based_on, "noLongerExists": transaction.model(based_on["modelId"]) is None}
        return page

    _HANDLERS: ClassVar[Mapping[str, Callable[..., Result]]] = {
        "Model/createModel": _create_model,
        "Model/getModels": _get_models,
        "Model/deleteModel": _delete_model,
        "Model/updateModel": _update_model,
        "Model/snapshotModel": _snapshot_model,
        "Dataset/getDatasets": _get_datasets,
    }
    METHODS = frozenset(
        {
            *_HANDLERS,
            "Model/waitForModelToBeCreated",
            "Model/evaluate",
            "Model/getEvaluations",
            "Model/getFinishedEvaluationResult",
            "Model/cancelEvaluation",
        }
    )


def _not_runnable(document: Document, providers: Sequence[Any], ready_at: int) -> str:
    """Why the sandbox cannot run the model; it invents no outputs."""
    if ready_at > _now():
        return "The initial state of the model is still being created."
    if "format" not in document or "basedOnSnapshot" in document:
        return "The sandbox runs uploaded ONNX and TFLite models and their copies only: no code, no trained states."
    if any("data" in provider for provider in providers):
        return "The datasets of the sandbox have no entries: give the data itself."
    return ""


def _page(member: str, items: list[Document], params: ListItems) -> Result:
    matches = [item for item in items if _matches(item, params.get("filter", {}))]
    # The default direction is not documented: here the newest items come first.
    descending = params.get("sortDirection", "desc") == "desc"
    matches.sort(key=lambda item: item[params.get("sort", "createdAt")], reverse=descending)
    offset, limit = params.get("offset", 0), params.get("limit", 20)
    return {member: matches[offset : offset + limit], "total": len(matches), "offset": offset, "limit": limit}


def _matches(item: Document, wanted: Filter) -> bool:
    return (
        item["owner"]["userId"] in wanted.get("owners", [item["owner"]["userId"]])
        and all(tag in item["tags"] for tag in wanted.get("tags", []))
        and item["id"] in wanted.get("ids", [item["id"]])
        and item["name"] in wanted.get("names", [item["name"]])
        and wanted.get("searchName", "").casefold() in item["name"].casefold()
    )


def _now() -> int:
    return time.time_ns() // 1_000_000
