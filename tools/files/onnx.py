"""The structure of an ONNX file: onnx.ModelProto and its GraphProto, without the weights.

Field numbers are those of onnx.proto (ONNX 1.20).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from ..decthings import TensorType
from .protobuf import BYTES, VARINT, Budget, Field, Malformed, Message
from .structure import MalformedModel, ModelStructure, ReadAt, TensorSpec

_MAX_FIELDS = 300_000
_MAX_VALUES = 512
_MAX_DIMENSIONS = 64
_MAX_WEIGHT_FIELDS = 1_000
_MAX_TEXT = 1_000

_TYPES: dict[int, tuple[str, TensorType | None]] = {
    1: ("float", "f32"), 2: ("uint8", "u8"), 3: ("int8", "i8"), 4: ("uint16", "u16"), 5: ("int16", "i16"),
    6: ("int32", "i32"), 7: ("int64", "i64"), 8: ("string", "string"), 9: ("bool", "boolean"),
    10: ("float16", None), 11: ("double", "f64"), 12: ("uint32", "u32"), 13: ("uint64", "u64"),
    14: ("complex64", None), 15: ("complex128", None), 16: ("bfloat16", None), 17: ("float8e4m3fn", None),
    18: ("float8e4m3fnuz", None), 19: ("float8e5m2", None), 20: ("float8e5m2fnuz", None), 21: ("uint4", None),
    22: ("int4", None), 23: ("float4e2m1", None), 24: ("float8e8m0", None), 25: ("uint2", None), 26: ("int2", None),
    27: ("float6e2m3", None), 28: ("float6e3m2", None),
}  # fmt: skip
_KINDS = {4: "sequence", 5: "map", 8: "sparse tensor", 9: "optional"}

_MODEL_FIELDS = {
    1: VARINT, 2: BYTES, 3: BYTES, 4: BYTES, 5: VARINT, 6: BYTES, 7: BYTES, 8: BYTES,
    14: BYTES, 20: BYTES, 25: BYTES, 26: BYTES,
}  # fmt: skip
"""The fields of onnx.ModelProto (onnx.proto of ONNX 1.20) with their protobuf wire types."""
_GRAPH = 7
_MAX_MODEL_FIELDS = 100_000


def is_onnx(size: int, read_at: ReadAt) -> bool:
    """Whether it is a complete protobuf message with only fields of onnx.ModelProto, including a graph."""
    try:
        return any(_is_graph(field) for field in [*_model_fields(Message(read_at, 0, size, Budget(_MAX_MODEL_FIELDS)))])
    except Malformed:
        return False


def check_onnx(size: int, read_at: ReadAt) -> str | None:
    """The name of a separate file with weights, if the model uses one. Reads the file once, from start to end.

    Raises:
        MalformedModel: `is_onnx` is false for it.
    """
    model, has_graph, graphs = Message(read_at, 0, size, Budget(_MAX_MODEL_FIELDS)), False, Budget(_MAX_FIELDS)
    try:
        for field in _model_fields(model):
            if _is_graph(field):
                has_graph = True
                if (location := _external_weights(model.within(field, graphs))) is not None:
                    return location
    except Malformed as error:
        raise MalformedModel(str(error)) from None
    if not has_graph:
        raise MalformedModel("it has no graph")
    return None


def _model_fields(model: Message) -> Iterator[Field]:
    """The fields of a ModelProto. New versions add some, with low numbers; other bytes soon give a high one."""
    for field in model:
        if field.number >= 100 or _MODEL_FIELDS.get(field.number, field.wire_type) != field.wire_type:
            raise Malformed("it has a field that no model has")
        yield field


def _is_graph(field: Field) -> bool:
    return field.number == _GRAPH and field.wire_type == BYTES


def read_onnx(size: int, read_at: ReadAt) -> ModelStructure:
    """Read the inputs, outputs and versions of an ONNX file.

    Raises:
        MalformedModel: it is not a complete ModelProto with a graph.
    """
    try:
        return _read(Message(read_at, 0, size, Budget(_MAX_FIELDS)))
    except Malformed as error:
        raise MalformedModel(str(error)) from None


def _external_weights(graph: Message) -> str | None:
    with suppress(Malformed):  # Decthings refuses invalid graphs itself
        for field in graph:
            weight = field.number == 5 and field.wire_type == BYTES
            if weight and (location := _location(graph.part_of(field, _MAX_WEIGHT_FIELDS))) is not None:
                return location
    return None


def _location(tensor: Message) -> str | None:
    """The entry "location" of the tensor's `external_data`."""
    with suppress(Malformed):  # a tensor with an inline vocabulary needs no other file
        for field in tensor:
            if field.number == 13 and field.wire_type == BYTES:
                entry = tensor.within(field)
                if _name(entry, 1) == "location":
                    return _name(entry, 2)
    return None


def _read(model: Message) -> ModelStructure:
    strings = {2: "", 3: ""}
    ir_version, graph = 0, None
    opsets: dict[str, int] = {}
    for field in model:
        if field.number == 1 and field.wire_type == VARINT:
            ir_version = field.value
        elif field.number in strings and field.wire_type == BYTES:
            strings[field.number] = model.text(field, _MAX_TEXT)
        elif field.number == 7 and field.wire_type == BYTES:
            graph = field
        elif field.number == 8 and field.wire_type == BYTES and len(opsets) < _MAX_VALUES:
            domain, version = _opset(model.within(field))
            opsets[domain or "ai.onnx"] = version
    if graph is None:
        raise MalformedModel("it has no graph")
    inputs, outputs = _values(model.within(graph))
    versions = {"irVersion": ir_version, "opsets": opsets}
    return ModelStructure("onnx", f"{strings[2]} {strings[3]}".strip(), versions, inputs, outputs)


def _opset(opset: Message) -> tuple[str, int]:
    domain, version = "", 0
    for field in opset:
        if field.number == 1 and field.wire_type == BYTES:
            domain = opset.text(field, _MAX_TEXT)
        elif field.number == 2 and field.wire_type == VARINT:
            version = _signed(field.value)
    return domain, version


def _values(graph: Message) -> tuple[list[TensorSpec], list[TensorSpec]]:
    """Inputs and outputs, without the weights, which IR versions up to 3 also list as inputs."""
    inputs: list[TensorSpec] = []
    outputs: list[TensorSpec] = []
    weights: set[str] = set()
    for field in graph:
        if field.wire_type != BYTES:
            continue
        if field.number in (11, 12):
            values = inputs if field.number == 11 else outputs
            if len(values) == _MAX_VALUES:
                raise MalformedModel(f"it has more than {_MAX_VALUES} inputs or outputs")
            values.append(_value(graph.within(field)))
        elif field.number == 5:
            weights.add(_weight_name(graph, field))
    return [value for value in inputs if value.name not in weights], outputs


def _weight_name(graph: Message, weight: Field) -> str:
    """The name of a weight; empty if it has an inline vocabulary, since such weights are hardly ever inputs."""
    try:
        return _name(graph.part_of(weight, _MAX_WEIGHT_FIELDS), 8)
    except Malformed:
        return ""


def _name(message: Message, number: int) -> str:
    names = [message.text(field, _MAX_TEXT) for field in message if field.number == number and field.wire_type == BYTES]
    return names[-1] if names else ""


def _value(value: Message) -> TensorSpec:
    name, type_ = "", None
    for field in value:
        if field.number == 1 and field.wire_type == BYTES:
            name = value.text(field, _MAX_TEXT)
        elif field.number == 2 and field.wire_type == BYTES:
            type_ = field
    element_type, decthings_type, shape = _type(value.within(type_)) if type_ else ("unknown", None, None)
    return TensorSpec(name, element_type, decthings_type, shape)


def _type(type_: Message) -> tuple[str, TensorType | None, list[int] | None]:
    for field in type_:
        if field.number == 1 and field.wire_type == BYTES:
            return _tensor_type(type_.within(field))
        if field.number in _KINDS:
            return _KINDS[field.number], None, None
    return "unknown", None, None


def _tensor_type(tensor: Message) -> tuple[str, TensorType | None, list[int] | None]:
    element, shape = 0, None
    for field in tensor:
        if field.number == 1 and field.wire_type == VARINT:
            element = field.value
        elif field.number == 2 and field.wire_type == BYTES:
            message = tensor.within(field)
            shape = [_dimension(message, dim) for dim in message if dim.number == 1 and dim.wire_type == BYTES]
            if len(shape) > _MAX_DIMENSIONS:
                raise MalformedModel(f"a shape has more than {_MAX_DIMENSIONS} dimensions")
    return *_TYPES.get(element, (f"type {element}", None)), shape


def _dimension(shape: Message, dimension: Field) -> int:
    """The length of a dimension; -1 if it only has a name or is missing."""
    values = [f.value for f in shape.within(dimension) if f.number == 1 and f.wire_type == VARINT]
    return max(_signed(values[-1]), -1) if values else -1


def _signed(value: int) -> int:
    """The two's complement of an int64 that was written as a varint."""
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value
