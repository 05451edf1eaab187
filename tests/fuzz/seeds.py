"""Bytes that a fuzzer starts from: small, whole, and of every kind that the readers know."""

from decthings_mcp.tools.decthings import Media, Tensor
from decthings_mcp.tools.decthings.json_codec import encode_json
from decthings_mcp.tools.decthings.tensors import encode_tensors, numeric_view
from decthings_mcp.tools.decthings.wire import encode_response
from decthings_mcp.tools.files.npy import write_npy
from onnx import TensorProto, helper
from tflite_files import tflite_model

_ALL_KINDS = [
    Tensor("f32", [3], [1.0, -2.5, 0.0]), Tensor("i64", [2, 1], [1, -1]), Tensor("boolean", [], [True]),
    Tensor("string", [2], ["a", "ä"]), Tensor("binary", [1], [b"\x00\x01"]),
    Tensor("image", [1], [Media("png", b"x" * 300)]), Tensor("u8", [0, 5], []),
]  # fmt: skip


def _tensors(*tensors: Tensor) -> bytes:
    blob = encode_tensors(tensors)
    assert isinstance(blob, bytes)
    return blob


def _onnx() -> bytes:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3, None]) for name in "ab"]
    weights = helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 2.0])
    graph = helper.make_graph([helper.make_node("Identity", ["a"], ["b"])], "g", values[:1], values[1:], [weights])
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, producer_name="p", opset_imports=opsets).SerializeToString()


_REPLIES = [
    {"result": {"modelId": "m", "isNowCreating": True}},
    {"result": {"models": [{"id": "m", "name": "n", "owner": {"type": "user"}}], "total": 1, "offset": 0, "limit": 20}},
    {"error": {"code": "name_already_used"}},
    {"error": {"code": "invalid_parameter", "parameterName": "p", "reason": {"a": [[[["😀"]]]]}}},
    {"error": None, "result": {}},
]

_EVALUATED = {"result": {"success": {"durations": {"evaluate": 1}, "output": [{"name": "a"}, {"name": "b"}]}}}

WORDS = (
    '"error":', '"code":', '"result":', '{"', '"}', "[{", "}]", "null", "\\ud800", "1e999", "TFL3", "ai.onnx", "NaN",
)  # fmt: skip

SEEDS: dict[str, list[bytes]] = {
    "wire": [
        *(bytes([status]) + encode_response(reply, [b"", b"x" * 300]) for status in (0, 9) for reply in _REPLIES),
        *(bytes([status]) + encode_json(reply) for status in (200, 209) for reply in _REPLIES),
        b"\0" + encode_response(_EVALUATED, [_tensors(*_ALL_KINDS), _tensors(_ALL_KINDS[0])]),
    ],
    "tensors": [_tensors(*_ALL_KINDS), *(_tensors(tensor) for tensor in _ALL_KINDS)],
    "arguments": [bytes([tool, call, 1, 1, 1, 1]) for tool in range(9) for call in range(50)],
    "npy": [
        write_npy(Tensor("f32", [1, 2], numeric_view("f32", bytes(8)))),
        write_npy(Tensor("u8", [], numeric_view("u8", b"a"))),
    ],
    "model_files": [_onnx(), tflite_model([("a", 0, [1, -1], [1, 3]), ("b", 3, [2], [])])],
}
