"""createModel in the sandbox: builds the document that getModels returns."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from ...tools.decthings.evaluations import Output
from ...tools.decthings.tensors import decode_tensors
from ...tools.decthings.types import DEFINITION_LISTS
from ...tools.decthings.varint import MalformedFrame
from .errors import ErrorReply
from .frames import ReceivedBlob
from .requests import CreateModel, invalid_parameter
from .store import Document, Transaction

NO_DEFINITIONS: Document = {name: [] for name in DEFINITION_LISTS}
CREATION_MS = 3000
"""How long the creation of an initial state takes."""

FAIL_TAG = "sandbox-fail"
"""The creation of a state from a model with this tag fails; the value says how, see `FAILURES`."""

FAILURES: dict[str, Document] = {
    "server_overloaded": {"code": "server_overloaded"},
    "unknown": {"code": "unknown"},
    **{
        code: {
            "code": "create_state_error",
            "details": details,
            "createInitialStateDurations": {"createLauncher": 1000},
        }
        for code, details in {
            "invalid_executable_file": {"code": "invalid_executable_file"},
            "read_executable_file_failed": {"code": "read_executable_file_failed"},
            "launcher_terminated": {"code": "launcher_terminated"},
            "max_duration_exceeded": {"code": "max_duration_exceeded", "at": "createState"},
            "exit": {"code": "code_terminated", "exitCode": 3, "oom": False},
            "signal": {"code": "code_terminated", "signal": "SIGSEGV", "oom": False},
            "oom": {"code": "code_terminated", "signal": "SIGKILL", "oom": True},
            "exception": {
                "code": "exception",
                "at": "createState",
                "exceptionDetails": "ValueError: learningRate must be positive\n  at create_state (model.py:12)",
            },
        }.items()
    },
}


@dataclass
class ModelBuilder:
    """Builds a model. `visible` returns a source model that the caller can see, or raises ErrorReply."""

    transaction: Transaction
    visible: Callable[[str], Document]
    blobs: list[ReceivedBlob]
    now: int

    def document(self, params: CreateModel) -> tuple[Document, bool]:
        """The document, and whether its initial state is still being created."""
        options: Any = params["options"]
        document: Document = {
            "id": str(uuid4()),
            "name": params["name"],
            "description": params["description"],
            "publicAccess": params.get("publicAccess", False),
            "createdAt": self.now,
            "wasm": False,
            "states": [],
        }
        build = {
            "code": self._code,
            "upload": self._upload,
            "basedOnModelSnapshot": self._snapshot,
            "fromExisting": self._existing,
        }
        creating = build[options["type"]](document, options)
        # The page does not say whether a copy has the tags of its source: here it does not.
        document["tags"] = options.get("tags", [])
        return document, creating

    def _code(self, document: Document, options: Any) -> bool:
        self._expect_blobs(0, "options")
        document["language"] = options["language"]
        document["wasm"] = options.get("wasm", False)
        document["parameterDefinitions"] = options.get("parameterDefinitions", NO_DEFINITIONS)
        return False

    def _upload(self, document: Document, options: Any) -> bool:
        self._expect_blobs(1, "options.data")
        # getModels has no field for it; which language an uploaded model has is not documented.
        document["format"] = options["format"]
        document["parameterDefinitions"] = options.get("parameterDefinitions", NO_DEFINITIONS)
        return False

    def _existing(self, document: Document, options: Any) -> bool:
        self._expect_blobs(0, "options")
        source = self.visible(options["modelId"])
        if "snapshotId" in options:
            snapshot_of(source, options["snapshotId"])
        self._inherit(document, source)
        document["states"], document["activeState"] = source["states"], source.get("activeState")
        return False

    def _snapshot(self, document: Document, options: Any) -> bool:
        source = self.visible(options["modelId"])
        snapshot = snapshot_of(source, options["snapshotId"])
        self._inherit(document, source)
        document["basedOnSnapshot"] = {"modelId": source["id"], "snapshotId": snapshot["id"]}
        initial = options["initialState"]
        failing = [tag["value"] for tag in source["tags"] if tag["tag"] == FAIL_TAG and tag["value"] in FAILURES]
        if initial["method"] == "copy":
            self._expect_blobs(0, "options.initialState")
            state = snapshot["state"]["state"], snapshot["state"]["name"]
        elif initial["method"] == "upload":
            self._expect_blobs(len(initial["stateKeyNames"]), "options.initialState.data")
            files = zip(initial["stateKeyNames"], self.blobs, strict=True)
            state = [{"key": key, "byteSize": blob.size} for key, blob in files], initial["name"]
        else:
            read_providers(self.transaction, initial["params"], self.blobs, "options.initialState.params")
            state = [{"key": "state", "byteSize": 0}], initial["name"]
        state_id = str(uuid4())
        document["states"] = [
            {"id": state_id, "name": state[1], "createdAt": self.now, "state": state[0], "mountedModels": []}
        ]
        document["activeState"] = state_id
        if failing and initial["method"] == "create":
            document.update({FAIL_TAG: failing[0], "states": [], "activeState": None})
        return initial["method"] == "create"

    @staticmethod
    def _inherit(document: Document, source: Document) -> None:
        for member in ("language", "format", "wasm", "parameterDefinitions"):
            if member in source:
                document[member] = source[member]

    def _expect_blobs(self, count: int, parameter: str) -> None:
        _expect_blobs(self.blobs, count, parameter)


def read_providers(
    transaction: Transaction, providers: Sequence[Any], blobs: Sequence[ReceivedBlob], parameter: str
) -> list[Output]:
    """Check parameter providers, and decode those with inline data.

    Raises:
        ErrorReply: invalid_parameter, dataset_not_found, dataset_key_not_found.
    """
    inline = [provider["name"] for provider in providers if "data" not in provider]
    _expect_blobs(blobs, len(inline), parameter)
    decoded: list[Output] = []
    for name, blob in zip(inline, blobs, strict=True):
        try:
            decoded.append(Output(name, decode_tensors(blob.path.read_bytes(), as_views=True)))
        except MalformedFrame as error:
            raise invalid_parameter(f"{parameter}.{name}", str(error)) from None
    keys = {document["id"]: [key["name"] for key in document["keys"]] for document, _ in transaction.datasets()}
    for provider in providers:
        if (data := provider.get("data")) is None:
            continue
        dataset = {"datasetId": data["datasetId"]}
        if data["datasetId"] not in keys:
            raise ErrorReply("dataset_not_found", **dataset)
        if data["datasetKey"] not in keys[data["datasetId"]]:
            raise ErrorReply("dataset_key_not_found", **dataset, datasetKey=data["datasetKey"])
    return decoded


def _expect_blobs(blobs: Sequence[ReceivedBlob], count: int, parameter: str) -> None:
    if len(blobs) != count:
        raise invalid_parameter(parameter, f"it needs {count} blobs, but {len(blobs)} were sent")


def snapshot_of(model: Document, snapshot_id: str) -> Document:
    for snapshot in model["snapshots"]:
        if snapshot["id"] == snapshot_id:
            return snapshot
    raise ErrorReply("snapshot_not_found")


def program_file(uploads: Path, model_id: str) -> Path:
    """The file of an uploaded model, of the example, or of a copy of one."""
    return uploads / model_id / "0"


def copy_program(uploads: Path, source_id: str, model_id: str) -> None:
    """Give a copy the file of its source, if that has one."""
    source, copy = program_file(uploads, source_id), program_file(uploads, model_id)
    if source.exists():
        copy.parent.mkdir()
        shutil.copyfile(source, copy)


def store_uploads(blobs: Sequence[ReceivedBlob], folder: Path) -> None:
    if blobs:
        folder.mkdir()
        for blob in blobs:
            shutil.move(blob.path, folder / blob.path.name)
