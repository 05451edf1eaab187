"""The `demo` command: the four ways to create a model, as in a chat, in a temporary sandbox."""

from __future__ import annotations

import tempfile
from importlib.resources import files
from pathlib import Path
from typing import Any

import anyio
from mcp import Client

from .app import create_server
from .sandbox.seed import MODEL_ID, SNAPSHOT_ID
from .settings import Settings

_INTRODUCTION = """\
A user asks for a model in a chat, and the assistant calls create_model. Here are four requests, one for each way
to create a model. They run in a sandbox on this machine: no account, no network, and deleted at the end.
"""


def run_demo(settings: Settings) -> int:
    """Run the demo. Returns the exit status: 0 if every call had the expected result."""
    example = files("decthings_mcp.server.sandbox") / "example.onnx"
    with tempfile.TemporaryDirectory() as folder:
        own = settings._replace(sandbox=True, sandbox_data=Path(folder) / "data", files=[Path(folder)])
        Path(folder, example.name).write_bytes(example.read_bytes())
        return anyio.run(_run, own, example.name)


async def _run(settings: Settings, model_file: str) -> int:
    print(_INTRODUCTION)
    failed = 0
    async with Client(create_server(settings)) as client:
        for request, arguments in _requests(model_file):
            print(f'  "{request}"')
            result: dict[str, Any] = (await client.call_tool("create_model", arguments)).structured_content or {}
            print(f"    {_summary(result)}\n")
            failed += "result" not in result
        print('  "And one more called greeter, in Python." (That name is taken.)')
        again = await client.call_tool("create_model", _requests(model_file)[0][1])
        print(f"    {_summary(again.structured_content or {})}\n")
    print("To do the same with your own assistant: decthings-mcp login, then decthings-mcp setup.")
    return int(failed > 0 or not again.is_error)


def _summary(content: dict[str, Any]) -> str:
    if "error" in content:
        return f"{content['error']['code']}: {content['error']['message']}"
    result, upload = content["result"], content.get("upload")
    sent = f", {upload['bytes']} bytes sent" if upload else ""
    state = "its initial state is being created" if result["isNowCreating"] else "ready"
    return f"model {result['modelId']}{sent}, {state}"


def _requests(model_file: str) -> list[tuple[str, dict[str, Any]]]:
    snapshot = {"type": "basedOnModelSnapshot", "modelId": MODEL_ID, "snapshotId": SNAPSHOT_ID}
    learning_rate = {"type": "data", "data": [{"type": "f32", "shape": [], "data": ["0.01"]}]}
    state = {
        "method": "create",
        "name": "first",
        "params": [{"name": "learningRate", "data": learning_rate}],
        "launcherSpec": {"cpus": 2, "memoryMebibytes": 4096},
    }
    return [
        ("A model called greeter in Python, starting from the PyTorch code.",
         _arguments("greeter", "Says hello.", {"type": "code", "language": "python", "preset": "pytorch"})),
        (f"Put {model_file} on Decthings, call it identity.",
         _arguments("identity", "Returns its input.",
                    {"type": "upload", "format": "onnx", "data": {"path": model_file}})),
        ("Train my own flower model from the example's snapshot v1, learning rate 0.01.",
         _arguments("my-flowers", "Names flowers.", {**snapshot, "initialState": state})),
        ("And copy the example flower classifier as it is.",
         _arguments("flowers-copy", "A copy to play with.", {"type": "fromExisting", "modelId": MODEL_ID})),
    ]  # fmt: skip


def _arguments(name: str, description: str, options: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "description": description, "options": options}
