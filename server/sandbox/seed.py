"""The initial content of the sandbox: a public model with a snapshot, and a public dataset.

The model is example.onnx, which `tests/example_model.py` makes: it names a flower by the colour of a picture.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from .models import program_file
from .store import Transaction

OWNER = "decthings-examples"
MODEL_ID = "11111111-aaaa-4aaa-8aaa-111111111111"
SNAPSHOT_ID = "22222222-bbbb-4bbb-8bbb-222222222222"
DATASET_ID = "33333333-cccc-4ccc-8ccc-333333333333"
DATASET_KEY = "image"
_CREATED_AT = 1_767_225_600_000  # 2026-01-01


def _parameter(name: str, shape: list[int], type_: str, *, required: bool = True) -> dict[str, object]:
    return {
        "name": name,
        "required": required,
        "rules": {"shape": shape, "allowedTypes": [type_], "annotations": []},
    }


_DEFINITIONS = {
    "createState": [
        _parameter("learningRate", [], "f32", required=False),
        _parameter("images", [], "image", required=False),
    ],
    "train": [_parameter("image", [], "image"), _parameter("label", [], "string")],
    "evaluateInput": [_parameter("image", [], "image")],
    "evaluateOutput": [_parameter("label", [], "string"), _parameter("scores", [5], "f32")],
}


def example_file() -> bytes:
    return (files("decthings_mcp.server.sandbox") / "example.onnx").read_bytes()


def seed(transaction: Transaction, uploads: Path) -> None:
    """Add the examples, unless they exist already."""
    if transaction.model(MODEL_ID) is None:
        _add_model(transaction)
        program = program_file(uploads, MODEL_ID)
        program.parent.mkdir(exist_ok=True)
        program.write_bytes(example_file())
    dataset = {
        "id": DATASET_ID,
        "name": "example-flowers",
        "description": "Pictures of flowers with their names.",
        "publicAccess": True,
        "createdAt": _CREATED_AT,
        "tags": [{"tag": "type", "value": "image-classification"}],
        "keys": [_parameter(DATASET_KEY, [], "image"), _parameter("label", [], "string")],
        "entries": {"count": 150, "totalByteSize": 4_500_000},
        "needsReviewEntries": {"count": 0, "totalByteSize": 0},
        "entriesWaitingToBeDeleted": {"count": 0, "totalByteSize": 0},
        "versionId": "44444444-dddd-4ddd-8ddd-444444444444",
    }
    transaction.add_dataset(dataset, OWNER)


def _add_model(transaction: Transaction) -> None:
    state = [{"key": "weights", "byteSize": 1024}]
    model = {
        "id": MODEL_ID,
        "name": "example-flower-classifier",
        "description": "Names the flower in a picture by its colour (uncompressed BMP only). A toy.",
        "publicAccess": True,
        "createdAt": _CREATED_AT,
        "tags": [{"tag": "type", "value": "image-classifier"}],
        "format": "onnx",
        "wasm": False,
        "parameterDefinitions": _DEFINITIONS,
        "states": [
            {
                "id": "trained",
                "name": "trained",
                "createdAt": _CREATED_AT,
                "state": state,
                "mountedModels": [],
            }
        ],
        "activeState": "trained",
    }
    transaction.add_model(model, OWNER, ready_at=_CREATED_AT)
    snapshot = {
        "id": SNAPSHOT_ID,
        "name": "v1",
        "createdAt": _CREATED_AT,
        "parameterDefinitions": _DEFINITIONS,
        "state": {"name": "trained", "state": state, "mountedModels": []},
    }
    transaction.add_snapshot(MODEL_ID, snapshot)
