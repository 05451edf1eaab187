"""The main job in one command: a chat's four ways to create a model, on a sandbox of its own."""

from __future__ import annotations

import tempfile
from importlib.resources import files
from pathlib import Path
from typing import Any

import anyio
from mcp import Client

from .app import create_server
from .sandbox.seed import DATASET_ID, DATASET_KEY, MODEL_ID, SNAPSHOT_ID
from .settings import Settings

_INTRODUCTION = """\
Somebody chats, an assistant fills in create_model, and a model appears. Four wishes, four ways, all in a
sandbox on this machine: no account, no network, and gone when this ends.
"""


def run_demo(settings: Settings) -> int:
    """The exit status: 0 when everything that was wished for came true."""
    example = files("decthings_mcp.server.sandbox") / "example.onnx"
    with tempfile.TemporaryDirectory() as folder:
        own = settings._replace(sandbox=True, sandbox_data=Path(folder) / "data", files=[Path(folder)])
        Path(folder, example.name).write_bytes(example.read_bytes())
        return anyio.run(_run, own, example.name)


async def _run(settings: Settings, model_file: str) -> int:
    print(_INTRODUCTION)
    refused = 0
    async with Client(create_server(settings)) as client:
        for wish, arguments in _wishes(model_file):
            print(f'  "{wish}"')
            answer: dict[str, Any] = (await client.call_tool("create_model", arguments)).structured_content or {}
            print(f"    {_summary(answer)}\n")
            refused += "result" not in answer
        print('  "And one more called greeter, in Python." (That name is taken.)')
        again = await client.call_tool("create_model", _wishes(model_file)[0][1])
        print(f"    {_summary(again.structured_content or {})}\n")
    print("Connect your assistant with what the README shows, and say such things yourself.")
    return int(refused > 0 or not again.is_error)


def _summary(answer: dict[str, Any]) -> str:
    if "error" in answer:
        return f"{answer['error']['code']}: {answer['error']['message']}"
    result, upload = answer["result"], answer.get("upload")
    sent = f", {upload['bytes']} bytes sent" if upload else ""
    return (
        f"model {result['modelId']}{sent}{', its first state in the making' if result['isNowCreating'] else ', ready'}"
    )


def _wishes(model_file: str) -> list[tuple[str, dict[str, Any]]]:
    snapshot = {"type": "basedOnModelSnapshot", "modelId": MODEL_ID, "snapshotId": SNAPSHOT_ID}
    learning_rate = {"type": "data", "data": [{"type": "f32", "shape": [], "data": ["0.01"]}]}
    images = {"type": "dataset", "datasetId": DATASET_ID, "datasetKey": DATASET_KEY}
    state = {
        "method": "create",
        "name": "first",
        "params": [{"name": "learningRate", "data": learning_rate}, {"name": "images", "data": images}],
        "launcherSpec": {"cpus": 2, "memoryMebibytes": 4096},
    }
    return [
        ("A model called greeter in Python, starting from the PyTorch code.",
         _arguments("greeter", "Says hello.", {"type": "code", "language": "python", "preset": "pytorch"})),
        (f"Put {model_file} on Decthings, call it identity.",
         _arguments("identity", "Answers what it is given.",
                    {"type": "upload", "format": "onnx", "data": {"path": model_file}})),
        ("Train my own flower model from the example's snapshot v1, learning rate 0.01.",
         _arguments("my-flowers", "Names flowers.", {**snapshot, "initialState": state})),
        ("And copy the example flower classifier as it is.",
         _arguments("flowers-copy", "A copy to play with.", {"type": "fromExisting", "modelId": MODEL_ID})),
    ]  # fmt: skip


def _arguments(name: str, description: str, options: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "description": description, "options": options}
