"""The guide to create_model: what each type is for, with an example that can be passed on as it is."""

from __future__ import annotations

import json
from typing import Any

_IMAGE = {"shape": [], "allowedTypes": ["image"], "annotations": []}
_LABEL = {"shape": [], "allowedTypes": ["string"], "annotations": []}
_SNAPSHOT = {"type": "basedOnModelSnapshot", "modelId": "MODEL_ID", "snapshotId": "SNAPSHOT_ID"}

_CREATED_STATE = {
    "method": "create",
    "name": "first",
    "params": [
        {"name": "images", "data": {"type": "dataset", "datasetId": "DATASET_ID", "datasetKey": "image"}},
        {"name": "epochs", "data": {"type": "data", "data": [{"type": "u32", "shape": [], "data": ["10"]}]}},
    ],
    "launcherSpec": {"cpus": 4, "memoryMebibytes": 16384, "gpus": {"model": "L4", "count": 1}},
}

EXAMPLES: dict[str, dict[str, Any]] = {
    "code: a new program, which the user goes on writing on Decthings": {
        "name": "flower-names",
        "description": "Names the flower in a picture.",
        "options": {
            "type": "code",
            "language": "python",
            "preset": "pytorch",
            "tags": [{"tag": "type", "value": "image-classifier"}],
            "parameterDefinitions": {
                "evaluateInput": [{"name": "image", "rules": _IMAGE}],
                "evaluateOutput": [{"name": "name", "rules": _LABEL}],
            },
        },
    },
    "upload: a model file that exists; inspect_model_file gives its parameterDefinitions": {
        "name": "resnet50",
        "description": "Classifies pictures.",
        "options": {"type": "upload", "format": "onnx", "data": {"path": "resnet50.onnx"}},
    },
    "basedOnModelSnapshot with copy: the snapshot's program and state, to go on from there": {
        "name": "flower-names-2",
        "description": "Like flower-names, to be trained further.",
        "options": {**_SNAPSHOT, "initialState": {"method": "copy"}},
    },
    "basedOnModelSnapshot with create: the snapshot's program, and a new state that it makes from params": {
        "name": "my-flower-names",
        "description": "Names the flowers of my garden.",
        "options": {**_SNAPSHOT, "initialState": _CREATED_STATE},
    },
    "basedOnModelSnapshot with upload: the snapshot's program, and a state from files": {
        "name": "flower-names-trained-elsewhere",
        "description": "Names flowers, trained on another machine.",
        "options": {
            **_SNAPSHOT,
            "initialState": {
                "method": "upload",
                "name": "from-disk",
                "data": [{"key": "weights", "data": {"path": "weights.bin"}}],
            },
        },
    },
    "fromExisting: a copy of a whole model": {
        "name": "flower-names-copy",
        "description": "A copy to try things with.",
        "options": {"type": "fromExisting", "modelId": "MODEL_ID"},
    },
}


_KNOWN = """\
What the API page says, and what it leaves open:

- Presets are none, empty, tensorflowjs, pytorch and tensorflow. For which languages they are, and how none and empty
  differ, is not documented. By their names, pytorch and tensorflow are for python, and tensorflowjs for javascript and
  typescript. Without a preset, leave it out.
- basedOnModelSnapshot starts from the program of a snapshot, and initialState says where its state comes from; the new
  model remembers its source (basedOnSnapshot). fromExisting copies a model, or one of its snapshots. Whether it copies
  all states, the snapshots, tags and access is not documented: look at the new model with find_models and detail.
- The params of an initial state that is created are the source's parameterDefinitions.createState, which find_models
  shows with detail. create_model compares names and types with them before it sends anything.
- Memory, disk and swap are in MiB: 8 GB is 8192. GPUs are models like L4 or A100 80GB.
- Whether Decthings reads parameterDefinitions from an uploaded file is not documented: inspect_model_file does."""


def guide() -> str:
    sections = [f"## {title}\n\n```json\n{json.dumps(given, indent=1)}\n```" for title, given in EXAMPLES.items()]
    return "\n\n".join(
        [
            "# How to fill in create_model",
            "Ids come from find_models (models and their snapshots) and find_datasets (datasets and their keys).",
            _KNOWN,
            *sections,
        ]
    )
