"""The picture of a chat in the README, drawn from the calls of a real run in the sandbox.

What the user says is written here. Arguments and results are those of the calls, but for ids, which are new in each
run, and for the parameter definitions, which are passed on from one call to the next.
"""

import json
import re
import textwrap
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import support
from mcp import Client
from onnx import TensorProto, helper

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SHOWN_ID = "ada1af13-7b95-41ba-bfc6-d9475ad6e575"
_UPLOAD = {"type": "upload", "format": "onnx", "data": {"path": "flowers.onnx"}, "parameterDefinitions": {}}
_CHAT = [
    ("Put flowers.onnx on Decthings and call it flowers.", "inspect_model_file", {"path": "flowers.onnx"}),
    ("", "create_model", {"name": "flowers", "description": "Names the flower in a picture.", "options": _UPLOAD}),
    ("Does it give what the file gives?", "evaluate_model", {"modelId": _SHOWN_ID, "compareWithFile": "flowers.onnx"}),
    ("And one more called flowers, in Python.", "create_model",
     {"name": "flowers", "description": "Another one.", "options": {"type": "code", "language": "python"}}),
]  # fmt: skip
"""What the user says, if anything, and the call that follows."""

_WIDTH, _LINE, _COLUMNS = 860, 17, 98
_STYLE = """
text { font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; fill: #24292f }
.said { font: 15px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #fff }
.name { font-weight: bold } .good { fill: #1a7f37; font-weight: bold } .bad { fill: #b35900; font-weight: bold }
.next { fill: #57606a } .page { fill: #fff; stroke: #d0d7de }
.bubble { fill: #0969da } .call { fill: #f6f8fa; stroke: #d8dee4 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .next { fill: #9198a1 } .good { fill: #3fb950 } .bad { fill: #d29922 }
.page { fill: #0d1117; stroke: #3d444d } .call { fill: #151b23; stroke: #3d444d }
}"""


async def draw(folder: Path) -> str:
    """The picture as SVG. The sandbox and the model file are put into the folder."""
    (folder / "flowers.onnx").write_bytes(_model())
    server = support.stdio("--sandbox", "--sandbox-data", str(folder / "data"), "--files", str(folder))
    picture = _Picture()
    definitions: dict[str, Any] = {}
    model_id = ""
    async with Client(server) as client:
        for said, tool, arguments in _CHAT:
            if said:
                picture.add_words(said)
            given = _filled_in(arguments, definitions, model_id)
            result = (await client.call_tool(tool, given)).structured_content or {}
            definitions = result.get("parameterDefinitions", definitions)
            model_id = result.get("result", {}).get("modelId", model_id)
            picture.add_call(tool, arguments, json.loads(_ID.sub(_SHOWN_ID, json.dumps(result))))
    return picture.svg()


def _filled_in(arguments: dict[str, Any], definitions: dict[str, Any], model_id: str) -> dict[str, Any]:
    return json.loads(json.dumps(arguments).replace("{}", json.dumps(definitions)).replace(_SHOWN_ID, model_id))


def _model() -> bytes:
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["scores"]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 224, 224])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 3])
    graph = helper.make_graph(nodes, "flowers", [image], [scores])
    return helper.make_model(graph, producer_name="pytorch").SerializeToString()


def _summary(result: dict[str, Any]) -> tuple[str, str]:
    """The class of a line that sums the result up, and the line."""
    if "error" in result:
        error = result["error"]
        return "bad", f"{error['code']}, outcome {error['outcome']}: {error['message']}"
    if "comparison" in result:
        compared = result["comparison"]
        return "good", f"same: {compared['same']}, largest difference {compared['largestDifference']:g}".lower()
    if "result" in result:
        sent = f", {result['upload']['bytes']} bytes sent" if "upload" in result else ""
        return "good", f"outcome {result['outcome']}, modelId {result['result']['modelId']}{sent}"
    values = [
        f"{value['name']} {value['elementType']}{value['shape']}" for value in result["inputs"] + result["outputs"]
    ]
    return "good", f"{result['format']}: {', '.join(values)}"


class _Picture:
    def __init__(self) -> None:
        self._parts: list[str] = []
        self._y = 20

    def add_words(self, said: str) -> None:
        width = 8 * len(said) + 28
        self._box("bubble", _WIDTH - width - 20, width, [("said", said)], 36)

    def add_call(self, tool: str, arguments: dict[str, Any], result: dict[str, Any]) -> None:
        of, summary = _summary(result)
        lines = [("name", tool)]
        lines += [("", line) for line in textwrap.wrap(json.dumps(arguments).replace("{}", "{…}"), _COLUMNS)]
        lines += [(of, line) for line in textwrap.wrap(summary, _COLUMNS)]
        lines += [("next", line) for line in textwrap.wrap(f"nextStep: {result['nextStep']}", _COLUMNS)]
        self._box("call", 20, _WIDTH - 100, lines, _LINE * len(lines) + 18)

    def _box(self, of: str, x: int, width: int, lines: Sequence[tuple[str, str]], height: int) -> None:
        self._parts.append(f'<rect class="{of}" x="{x}" y="{self._y}" width="{width}" height="{height}" rx="10"/>')
        for number, (name, text) in enumerate(lines):
            y = self._y + 22 + number * _LINE
            self._parts.append(f'<text class="{name}" x="{x + 14}" y="{y}">{escape(text, quote=False)}</text>')
        self._y += height + 12

    def svg(self) -> str:
        height = self._y + 8
        size = f'width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}"'
        page = f'<rect class="page" x="0.5" y="0.5" width="{_WIDTH - 1}" height="{height - 1}" rx="12"/>'
        head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n<style>{_STYLE}\n</style>'
        return "\n".join([head, page, *self._parts, "</svg>", ""])
