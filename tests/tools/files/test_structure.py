"""inspect_model_file against onnx's own reader and TFLite's, and against files that are broken or hostile."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import onnx
import pytest
import tflite
from decthings_mcp.tools.files.allowed import AllowedFiles
from decthings_mcp.tools.files.onnx import read_onnx
from decthings_mcp.tools.files.structure import MalformedModel, ModelStructure, ReadAt
from decthings_mcp.tools.files.tflite import read_tflite
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper
from tflite_files import tflite_model

TYPES = {
    TensorProto.FLOAT: "f32", TensorProto.UINT8: "u8", TensorProto.INT8: "i8", TensorProto.UINT16: "u16",
    TensorProto.INT16: "i16", TensorProto.INT32: "i32", TensorProto.INT64: "i64", TensorProto.STRING: "string",
    TensorProto.BOOL: "boolean", TensorProto.DOUBLE: "f64", TensorProto.UINT32: "u32", TensorProto.UINT64: "u64",
}  # fmt: skip

Reader = Callable[[int, ReadAt], ModelStructure]


def read(reader: Reader, data: bytes) -> ModelStructure:
    return reader(len(data), lambda offset, length: data[offset : offset + length])


@st.composite
def onnx_models(draw: st.DrawFn) -> onnx.ModelProto:
    element_types = sorted(set(TensorProto.DataType.values()) - {0})
    dimensions = st.none() | st.lists(st.integers(0, 2**40) | st.text(max_size=5) | st.none(), max_size=4)
    values = st.builds(helper.make_tensor_value_info, st.text(max_size=10), st.sampled_from(element_types), dimensions)
    weights = helper.make_tensor("w", TensorProto.FLOAT, [100], bytes(400), raw=True)
    graph = helper.make_graph(
        [helper.make_node("Identity", ["a"], ["b"])],
        draw(st.text(max_size=10)),
        [*draw(st.lists(values, max_size=4)), helper.make_tensor_value_info("w", TensorProto.FLOAT, [100])],
        draw(st.lists(values, max_size=4)),
        [weights],
    )
    opsets = [helper.make_opsetid(domain, version) for domain, version in (("", 17), ("com.example", 2))]
    return helper.make_model(
        graph, producer_name=draw(st.text(max_size=20)), producer_version="1", opset_imports=opsets
    )


@given(onnx_models())
def test_every_field_is_what_the_onnx_package_reads(model: onnx.ModelProto) -> None:
    structure = read(read_onnx, model.SerializeToString())
    assert structure.versions == {"irVersion": model.ir_version, "opsets": {"ai.onnx": 17, "com.example": 2}}
    assert structure.producer == f"{model.producer_name} {model.producer_version}".strip()
    expected_inputs = [value for value in model.graph.input if value.name != "w"]
    for values, expected in ((structure.inputs, expected_inputs), (structure.outputs, model.graph.output)):
        assert [(v.name, v.decthings_type, v.shape) for v in values] == [_as_onnx_reads(value) for value in expected]
        for value, proto in zip(values, expected, strict=True):
            name = TensorProto.DataType.Name(proto.type.tensor_type.elem_type).lower()
            assert value.element_type == name


def _as_onnx_reads(value: Any) -> tuple[str, str | None, list[int] | None]:
    tensor = value.type.tensor_type
    shape = [dim.dim_value if dim.HasField("dim_value") else -1 for dim in tensor.shape.dim]
    return value.name, TYPES.get(tensor.elem_type), shape if tensor.HasField("shape") else None


@given(onnx_models(), st.data())
def test_a_damaged_onnx_model_is_read_or_refused(model: onnx.ModelProto, data: st.DataObject) -> None:
    damaged = bytearray(model.SerializeToString())
    for _ in range(data.draw(st.integers(1, 5))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    _read_or_refuse(read_onnx, bytes(damaged[: data.draw(st.integers(0, len(damaged)))]))


def _read_or_refuse(reader: Reader, data: bytes) -> None:
    with suppress(MalformedModel):
        structure = read(reader, data)
        assert all(isinstance(value.name, str) for value in (*structure.inputs, *structure.outputs))


_TENSORS = st.tuples(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=10),
    st.integers(0, 18),
    st.lists(st.integers(0, 2**31 - 1), max_size=4),
    st.lists(st.integers(-1, 2**31 - 1), max_size=4),
)

TFLITE_TYPES = {
    "FLOAT32": "f32", "INT32": "i32", "UINT8": "u8", "INT64": "i64", "STRING": "string", "BOOL": "boolean",
    "INT16": "i16", "INT8": "i8", "FLOAT64": "f64", "UINT64": "u64", "UINT32": "u32", "UINT16": "u16",
}  # fmt: skip


@given(st.lists(_TENSORS, min_size=1, max_size=5))
def test_every_field_is_what_tflites_reader_reads(values: Any) -> None:
    data = tflite_model(values)
    structure = read(read_tflite, data)
    model: Any = tflite.Model.GetRootAs(data, 0)
    graph = model.Subgraphs(0)
    assert structure.versions == {"schemaVersion": model.Version()}
    assert structure.producer == model.Description().decode()
    names = {code: name for name, code in vars(tflite.TensorType).items() if isinstance(code, int)}
    for places, found in (
        ([graph.Inputs(i) for i in range(graph.InputsLength())], structure.inputs),
        ([graph.Outputs(i) for i in range(graph.OutputsLength())], structure.outputs),
    ):
        tensors = [graph.Tensors(place) for place in places]
        assert [value.name for value in found] == [tensor.Name().decode() for tensor in tensors]
        assert [value.shape for value in found] == [_dimensions(tensor) for tensor in tensors]
        for value, tensor in zip(found, tensors, strict=True):
            if (name := names.get(tensor.Type())) is not None:
                assert (value.element_type.upper(), value.decthings_type) == (name, TFLITE_TYPES.get(name))


def _dimensions(tensor: Any) -> list[int]:
    signature = [tensor.ShapeSignature(i) for i in range(tensor.ShapeSignatureLength())]
    return signature or [tensor.Shape(i) for i in range(tensor.ShapeLength())]


@given(st.lists(_TENSORS, min_size=1, max_size=3), st.data())
def test_a_damaged_tflite_model_is_read_or_refused(values: Any, data: st.DataObject) -> None:
    damaged = bytearray(tflite_model(values))
    for _ in range(data.draw(st.integers(1, 5))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    _read_or_refuse(read_tflite, bytes(damaged[: data.draw(st.integers(0, len(damaged)))]))


@given(st.binary(max_size=300))
def test_model_readers_read_or_refuse_any_bytes(data: bytes) -> None:
    _read_or_refuse(read_onnx, data)
    _read_or_refuse(read_tflite, b"\x08\0\0\0TFL3" + data)


def test_the_weights_are_never_read(tmp_path: Path) -> None:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "ab"]
    graph = helper.make_graph([], "g", values[:1], values[1:]).SerializeToString()
    two_gib = 2**31 - 10_000
    tensor_head = b"\x42\x01w\x4a" + _varint(two_gib)  # its name, and raw_data
    tensor = b"\x2a" + _varint(len(tensor_head) + two_gib) + tensor_head
    path = tmp_path / "large.onnx"
    with path.open("wb") as file:
        file.write(b"\x08\x08\x3a" + _varint(len(graph) + len(tensor) + two_gib) + tensor)
        file.seek(two_gib, 1)
        file.write(graph)
    blob, asked = AllowedFiles([tmp_path]).open("large.onnx"), 0

    def count(offset: int, length: int) -> bytes:
        nonlocal asked
        asked += length
        return read_at(offset, length)

    with blob.reader() as read_at:
        structure = read_onnx(blob.size, count)
    assert [value.name for value in structure.inputs] == ["a"]
    assert blob.size > 2**31 - 10_000
    assert asked < 200_000


def _varint(value: int) -> bytes:
    data = b""
    while value >= 0x80:
        data += bytes([value & 0x7F | 0x80])
        value >>= 7
    return data + bytes([value])


HOSTILE = {
    "endless fields": (read_onnx, b"\x3a\x00" * 400_000),
    "a huge length": (read_onnx, b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),
    "no graph": (read_onnx, b"\x08\x08"),
    "a root beyond the end": (read_tflite, b"\xff\xff\xff\x7fTFL3"),
    "another identifier": (read_tflite, b"\x08\0\0\0ABCD" + bytes(20)),
    "too many dimensions": (read_tflite, tflite_model([("a", 0, [1] * 65, [])])),
    "too many inputs": (read_tflite, tflite_model([("a", 0, [], [])] * 1_002)),
    "no graph in it": (read_tflite, tflite_model([("a", 0, [], [])], subgraphs=0)),
}


@pytest.mark.parametrize(("reader", "data"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_refused(reader: Any, data: bytes) -> None:
    with pytest.raises(MalformedModel):
        read(reader, data)


def test_a_vocabulary_does_not_make_a_model_broken() -> None:
    words = TensorProto(name="v", data_type=TensorProto.STRING, dims=[310_000], string_data=[b"w"] * 310_000)
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1]) for n in "ab"]
    model = helper.make_model(helper.make_graph([], "g", values[:1], values[1:], [words]))
    assert [value.name for value in read(read_onnx, model.SerializeToString()).inputs] == ["a"]


def test_fields_that_lie_far_apart_are_not_read_ahead() -> None:
    asked = 0
    field = b"\x2a" + _varint(16_500)

    def sparse(offset: int, length: int) -> bytes:
        nonlocal asked
        asked += length
        within = (offset - 5) % (16_500 + len(field))
        return (field + bytes(70))[within : within + length] if offset >= 5 else (b"\x3a" + _varint(2**33))[:length]

    with pytest.raises(MalformedModel):
        read_onnx(2**33 + 6, sparse)
    assert asked < 64 * 300_000
