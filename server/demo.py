"""The `demo` command: the four ways to create a model, as in a chat, in a temporary sandbox."""

from __future__ import annotations

import struct
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import anyio
from mcp import Client

from ..tools.local_run.runner import EXTRA
from .app import create_server
from .sandbox.seed import MODEL_ID, SNAPSHOT_ID, example_file
from .settings import Settings

_MODEL_FILE, _PICTURE = "example.onnx", "rose.bmp"

_INTRODUCTION = """\
A user asks for a model in a chat, and the assistant calls create_model. Here are four requests, one for each way
to create a model, and at the end what was uploaded is tried. They run in a sandbox on this machine: no account, no
network, and deleted at the end.
"""


def run_demo(settings: Settings) -> int:
    """Run the demo. Returns the exit status: 0 if every call had the expected result."""
    with tempfile.TemporaryDirectory() as folder:
        own = settings._replace(sandbox=True, sandbox_data=Path(folder) / "data", files=[Path(folder)])
        Path(folder, _MODEL_FILE).write_bytes(example_file())
        Path(folder, _PICTURE).write_bytes(_picture(red=210, green=30, blue=50))
        return anyio.run(_run, own)


async def _run(settings: Settings) -> int:
    print(_INTRODUCTION)
    failed = 0
    async with Client(create_server(settings)) as client:
        created: dict[str, str] = {}
        for request, arguments in _requests():
            print(f'  "{request}"')
            result: dict[str, Any] = (await client.call_tool("create_model", arguments)).structured_content or {}
            print(f"    {_summary(result)}\n")
            failed += "result" not in result
            created[arguments["name"]] = result.get("result", {}).get("modelId", "")
        print('  "And one more called greeter, in Python." (That name is taken.)')
        again = await client.call_tool("create_model", _requests()[0][1])
        print(f"    {_summary(again.structured_content or {})}\n")
        failed += not await _try(client, created["flowers"])
    print("To do the same with your own assistant: decthings-mcp login, then decthings-mcp setup.")
    return int(failed > 0 or not again.is_error)


async def _try(client: Client, model_id: str) -> bool:
    """Try the uploaded model with a picture, as a user would; whether that is as expected."""
    print(f'  "Try flowers with {_PICTURE}, and check that it gives what {_MODEL_FILE} gives."')
    if find_spec("onnxruntime") is None:
        print(f"    left out: it takes onnxruntime (pip install '{EXTRA}')\n")
        return True
    arguments = {"modelId": model_id, "params": [{"name": "image", "data": [f"file:{_PICTURE}"]}]}
    result = await client.call_tool("evaluate_model", {**arguments, "compareWithFile": _MODEL_FILE})
    content: dict[str, Any] = result.structured_content or {}
    if "comparison" not in content or "outputs" not in content:
        print(f"    {content.get('error', content.get('failure'))}\n")
        return False
    label, scores = content["outputs"]
    difference = content["comparison"]["largestDifference"]
    print(f"    {label['values'][0]}, score {max(scores['values']):.2f}")
    print(
        f"    {'the same as the file gives' if content['comparison']['same'] else 'not what the file gives'} "
        f"on this machine, largest difference {difference:g}\n"
    )
    return content["comparison"]["same"]


def _picture(red: int, green: int, blue: int) -> bytes:
    """A square of one colour, as an uncompressed BMP."""
    side = 64
    pixels = bytes((blue, green, red)) * side**2
    info = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 24, 0, len(pixels), 0, 0, 0, 0)
    return struct.pack("<2sIHHI", b"BM", 54 + len(pixels), 0, 0, 54) + info + pixels


def _summary(content: dict[str, Any]) -> str:
    if "error" in content:
        return f"{content['error']['code']}: {content['error']['message']}"
    result, upload = content["result"], content.get("upload")
    sent = f", {upload['bytes']} bytes sent" if upload else ""
    state = "its initial state is being created" if result["isNowCreating"] else "ready"
    return f"model {result['modelId']}{sent}, {state}"


def _requests() -> list[tuple[str, dict[str, Any]]]:
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
        (f"Put {_MODEL_FILE} on Decthings, call it flowers.",
         _arguments("flowers", "Names a flower by its colour.", {
             "type": "upload", "format": "onnx", "data": {"path": _MODEL_FILE},
             "parameterDefinitions": {"evaluateInput": [
                 {"name": "image", "rules": {"shape": [-1], "allowedTypes": ["u8"]}},
             ]},
         })),
        ("Train my own flower model from the example's snapshot v1, learning rate 0.01.",
         _arguments("my-flowers", "Names flowers.", {**snapshot, "initialState": state})),
        ("And copy the example flower classifier as it is.",
         _arguments("flowers-copy", "A copy to play with.", {"type": "fromExisting", "modelId": MODEL_ID})),
    ]  # fmt: skip


def _arguments(name: str, description: str, options: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "description": description, "options": options}
