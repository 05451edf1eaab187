"""Running a model file: every type both ways, and files that want to do harm."""

import os
from pathlib import Path
from typing import Any

import anyio
import pytest
import tflite
from decthings_mcp.tools.decthings import Media, Tensor
from decthings_mcp.tools.decthings.evaluations import Output
from decthings_mcp.tools.local_run import runner
from decthings_mcp.tools.local_run.runner import LocalRunFailed, run_model
from evaluation_support import doubling, endless, onnx_model
from onnx import TensorProto, helper
from tflite_files import tflite_model

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

TYPES: dict[str, tuple[int, list[Any]]] = {
    "f32": (TensorProto.FLOAT, [0.5, float("inf")]), "f64": (TensorProto.DOUBLE, [1e300, -0.5]),
    "i8": (TensorProto.INT8, [-128, 127]), "i16": (TensorProto.INT16, [-32768, 32767]),
    "i32": (TensorProto.INT32, [-(2**31), 2**31 - 1]), "i64": (TensorProto.INT64, [-(2**63), 2**63 - 1]),
    "u8": (TensorProto.UINT8, [0, 255]), "u16": (TensorProto.UINT16, [0, 65535]),
    "u32": (TensorProto.UINT32, [0, 2**32 - 1]), "u64": (TensorProto.UINT64, [0, 2**64 - 1]),
    "boolean": (TensorProto.BOOL, [True, False]), "string": (TensorProto.STRING, ["å", ""]),
}  # fmt: skip


async def test_every_type_that_onnx_has_goes_through_a_model() -> None:
    names = {type_: (f"{type_} in", f"{type_} out") for type_ in TYPES}
    nodes = [helper.make_node("Identity", [one], [other]) for one, other in names.values()]
    inputs = {names[type_][0]: (code, [2]) for type_, (code, _) in TYPES.items()}
    outputs = {names[type_][1]: (code, [2]) for type_, (code, _) in TYPES.items()}
    given: list[Any] = [Output(names[type_][0], [Tensor(type_, [2], values)]) for type_, (_, values) in TYPES.items()]  # pyright: ignore[reportArgumentType]
    results = await run_model("onnx", onnx_model(nodes, inputs, outputs), given, 60)
    found = {result.name: result.tensors[0] for result in results}
    for type_, (_, values) in TYPES.items():
        tensor = found[names[type_][1]]
        assert (tensor.type, list(tensor.shape), list(tensor.elements)) == (type_, [2], values)


async def test_half_precision_becomes_f32_and_a_picture_its_bytes() -> None:
    nodes = [
        helper.make_node("Cast", ["half"], ["y"], to=TensorProto.FLOAT16),
        helper.make_node("Identity", ["picture"], ["bytes"]),
    ]
    inputs = {"half": (TensorProto.FLOAT16, [1]), "picture": (TensorProto.UINT8, ["n"])}
    outputs = {"y": (TensorProto.FLOAT16, [1]), "bytes": (TensorProto.UINT8, ["n"])}
    picture = Tensor("image", [], [Media("png", b"\x89PNG")])
    given = [Output("half", [Tensor("f32", [1], [1.5])]), Output("picture", [picture])]
    half, pixels = await run_model("onnx", onnx_model(nodes, inputs, outputs), given, 60)
    assert (half.tensors[0].type, list(half.tensors[0].elements)) == ("f32", [1.5])
    assert bytes(half.tensors[0].elements) != bytes(pixels.tensors[0].elements) == b"\x89PNG"


async def test_a_model_runs_once_for_each_tensor() -> None:
    given = [Output("x", [Tensor("f32", [1, 1], [float(n)]) for n in range(3)])]
    (result,) = await run_model("onnx", doubling(size=1), given, 60)
    assert [list(tensor.elements) for tensor in result.tensors] == [[0.0], [2.0], [4.0]]


async def test_a_tflite_file_runs_too() -> None:
    model = tflite_model([("x", 0, [1, 2], []), ("y", 0, [1, 2], [])], operator=tflite.BuiltinOperator.LOGISTIC)
    (result,) = await run_model("tflite", model, [Output("x", [Tensor("f32", [1, 2], [0.0, 100.0])])], 60)
    assert (result.name, list(result.tensors[0].elements)) == ("y", [0.5, 1.0])


def _bomb() -> bytes:
    """A tensor of 2^40 elements from one of a few bytes."""
    node = helper.make_node("ConstantOfShape", ["x"], ["y"])
    return onnx_model([node], {"x": (TensorProto.INT64, [2])}, {"y": (TensorProto.FLOAT, ["a", "b"])})


async def test_an_endless_model_is_ended() -> None:
    with pytest.raises(LocalRunFailed) as caught:
        await run_model("onnx", endless(), [Output("x", [Tensor("f32", [1], [1.0])])], 4)
    assert caught.value.code == "max_duration_exceeded"


async def test_a_model_that_wants_all_memory_gets_none_of_ours() -> None:
    with pytest.raises(LocalRunFailed) as caught:
        await run_model("onnx", _bomb(), [Output("x", [Tensor("i64", [2], [1 << 20, 1 << 20])])], 60)
    assert (caught.value.code, caught.value.oom) == ("code_terminated", True)


async def test_outputs_that_are_too_large_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "MAX_OUTPUT_BYTES", 1 << 20)
    with pytest.raises(LocalRunFailed, match="larger than 1 MiB"):
        await run_model("onnx", _bomb(), [Output("x", [Tensor("i64", [2], [1 << 10, 1 << 10])])], 60)


@pytest.mark.parametrize("model", [b"", b"garbage", os.urandom(5_000), doubling()[:-9]])
async def test_what_is_no_model_is_refused(model: bytes) -> None:
    with pytest.raises(LocalRunFailed) as caught:
        await run_model("onnx", model, [Output("x", [Tensor("f32", [1, 4], [0.0] * 4)])], 60)
    assert caught.value.code in ("invalid_executable_file", "exception")


async def test_a_file_cannot_read_other_files(tmp_path: Path) -> None:
    """Weights can be in a file of any name, next to the model or elsewhere."""
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(16))
    weights = helper.make_tensor("w", TensorProto.FLOAT, [4], [0.0] * 4)
    weights.ClearField("float_data")
    weights.data_location = TensorProto.EXTERNAL
    entry = weights.external_data.add()
    entry.key, entry.value = "location", str(secret)
    vector = (TensorProto.FLOAT, [4])
    model = onnx_model([helper.make_node("Add", ["x", "w"], ["y"])], {"x": vector}, {"y": vector}, [weights])
    with pytest.raises(LocalRunFailed) as caught:
        await run_model("onnx", model, [Output("x", [Tensor("f32", [4], [1.0] * 4)])], 60)
    assert caught.value.code == "invalid_executable_file"


PROGRAM = """
import os, socket
from decthings_mcp.tools.local_run.worker import restrict

restrict(1 << 33, 10)
for attempt in (lambda: open("/etc/hostname"), lambda: open("x", "w"), socket.socket, os.pipe):
    try:
        attempt()
    except OSError:
        continue
    os.write(1, b"opened ")
os.write(1, repr([name for name in os.environ if "KEY" in name]).encode())
"""


async def test_the_process_has_no_keys_and_can_open_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that tries, in place of a runtime that a file has taken over."""
    monkeypatch.setenv("DECTHINGS_API_KEY", "secret")
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [*runner.PYTHON, str(tmp_path / "program.py")]
    assert (await anyio.run_process(command, env=runner.bare_environment())).stdout == b"[]"
