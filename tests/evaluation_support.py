"""Models, pictures and a Decthings that evaluates, for the tests of evaluate_model."""

import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import support
from decthings_mcp.tools.decthings import Tensor
from decthings_mcp.tools.decthings.tensors import encode_tensors
from decthings_mcp.tools.decthings.wire import encode_response
from onnx import TensorProto, helper
from support import Request

WITHOUT_RUNTIMES = """
import runpy, sys
sys.modules["onnxruntime"] = sys.modules["ai_edge_litert"] = None
runpy.run_module("decthings_mcp.tools.local_run.worker", run_name="__main__")
"""
"""The process that runs files, as if their packages were not installed."""


def picture(red: int, green: int, blue: int, side: int = 16) -> bytes:
    """A square of one colour as an uncompressed BMP."""
    pixels = bytes((blue, green, red)) * side**2
    header = struct.pack("<2sIHHI", b"BM", 54 + len(pixels), 0, 0, 54)
    return header + struct.pack("<IiiHHIIiiII", 40, side, side, 1, 24, 0, len(pixels), 0, 0, 0, 0) + pixels


def onnx_model(
    nodes: Sequence[Any],
    inputs: Mapping[str, tuple[int, Sequence[Any]]],
    outputs: Mapping[str, tuple[int, Sequence[Any]]],
    constants: Sequence[Any] = (),
) -> bytes:
    """A model of these nodes; inputs and outputs are (element type, shape) by name."""
    values = [
        [helper.make_tensor_value_info(name, type_, shape) for name, (type_, shape) in part.items()]
        for part in (inputs, outputs)
    ]
    graph = helper.make_graph(list(nodes), "test", values[0], values[1], list(constants))
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    return model.SerializeToString()


def doubling(factor: float = 2.0, size: int = 4) -> bytes:
    """y = factor * x."""
    constant = helper.make_tensor("factor", TensorProto.FLOAT, [], [factor])
    vector = (TensorProto.FLOAT, [1, size])
    return onnx_model([helper.make_node("Mul", ["x", "factor"], ["y"])], {"x": vector}, {"y": vector}, [constant])


def endless() -> bytes:
    """A loop of 2^62 rounds."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go on"], ["go on still"]),
            helper.make_node("Add", ["sum", "sum"], ["new sum"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("go on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("sum", TensorProto.FLOAT, [1]),
        ],
        [
            helper.make_tensor_value_info("go on still", TensorProto.BOOL, []),
            helper.make_tensor_value_info("new sum", TensorProto.FLOAT, [1]),
        ],
    )
    rounds = helper.make_tensor("rounds", TensorProto.INT64, [], [2**62])
    true = helper.make_tensor("true", TensorProto.BOOL, [], [True])
    vector = (TensorProto.FLOAT, [1])
    loop = helper.make_node("Loop", ["rounds", "true", "x"], ["y"], body=body)
    return onnx_model([loop], {"x": vector}, {"y": vector}, [rounds, true])


def definition(name: str, type_: str | Sequence[str], shape: Sequence[int], *, required: bool = True) -> dict[str, Any]:
    types = [type_] if isinstance(type_, str) else list(type_)
    return {"name": name, "required": required, "rules": {"shape": shape, "allowedTypes": types, "annotations": []}}


def definitions(*inputs: dict[str, Any]) -> dict[str, Any]:
    return {"createState": [], "train": [], "evaluateInput": list(inputs), "evaluateOutput": []}


def evaluated(*outputs: tuple[str, Sequence[Tensor]], kind: str = "success", **details: Any) -> bytes:
    """The response of evaluate, as a frame."""
    blobs = [encode_tensors(tensors) for _, tensors in outputs]
    result = {
        "totalDuration": 1200,
        "durations": {"createLauncher": 800, "codeStartup": 300, "createInstantiatedModel": 60, "evaluate": 40},
        "executedOnLauncher": None,
        "output": [{"name": name} for name, _ in outputs],
        **details,
    }
    return encode_response({"result": {kind: result}}, [blob for blob in blobs if isinstance(blob, bytes)])


def failed(**error: Any) -> bytes:
    durations = {"totalDuration": 900, "durations": {"createLauncher": 800}, "executedOnLauncher": None}
    return support.frame({"result": {"failed": {**durations, "error": error}}})


@dataclass
class Evaluating:
    """A Decthings with one model, m. `evaluate` is sent, or talks itself; other methods are in `others`."""

    evaluate: support.Reply
    takes: Sequence[dict[str, Any]] = ()
    running: list[str] = field(default_factory=list[str])
    finished: list[str] = field(default_factory=list[str])
    others: dict[str, support.Reply] = field(default_factory=dict[str, support.Reply])
    calls: list[str] = field(default_factory=list[str])

    def __call__(self, connection: socket.socket, request: Request) -> bytes | None:
        method = request.path.rpartition("/")[2]
        self.calls.append(method)
        reply = self._reply(method)
        return reply(connection, request) if callable(reply) else reply

    def _reply(self, method: str) -> support.Reply:
        if method in self.others:
            return self.others[method]
        if method == "getModels":
            model = {"id": "m", "name": "n", "beingCreated": False, "parameterDefinitions": definitions(*self.takes)}
            return support.frame({"result": {"models": [model], "total": 1}})
        if method == "getEvaluations":
            finished = [{"id": id_, "startedAt": 1, "finishedAt": 2, "success": True} for id_ in self.finished]
            running = [{"id": id_, "startedAt": 1} for id_ in self.running]
            return support.frame({"result": {"running": running, "finished": finished}})
        return self.evaluate
