"""Arguments of create_model, as tests build them."""

from __future__ import annotations

from typing import Any

SNAPSHOT = {"type": "basedOnModelSnapshot", "modelId": "m", "snapshotId": "s"}

LAUNCHER = {"cpus": 0.5, "memoryMebibytes": 512}

DATASET = {"name": "images", "data": {"type": "dataset", "datasetId": "d", "datasetKey": "k"}}

DEFINITION = {"name": "x", "required": True, "rules": {"shape": [-1], "allowedTypes": ["f32"], "annotations": []}}

DEFINITIONS: dict[str, Any] = {"createState": [], "train": [], "evaluateInput": [DEFINITION], "evaluateOutput": []}

TAGS = [{"tag": "type", "value": ""}]


def arguments(options: Any, **members: Any) -> dict[str, Any]:
    return {"name": "n", "description": "d", "options": options, **members}


def from_snapshot(state: Any) -> dict[str, Any]:
    return arguments({**SNAPSHOT, "initialState": state})


def with_params(*params: Any) -> dict[str, Any]:
    return from_snapshot({"method": "create", "name": "s", "params": list(params), "launcherSpec": LAUNCHER})


def with_tensor(tensor: Any) -> dict[str, Any]:
    return with_params({"name": "p", "data": {"type": "data", "data": [tensor]}})
