"""Writing TFLite files, with TFLite's own schema."""

import flatbuffers
import tflite


def tflite_model(
    values: list[tuple[str, int, list[int], list[int]]],
    outputs: int = 1,
    *,
    subgraphs: int = 1,
    operator: int | None = None,
) -> bytes:
    """(name, type, shape, signature) of its tensors, the last `outputs` of which are outputs.

    With an operator, which takes and gives one tensor, it can be run.
    """
    builder = flatbuffers.Builder(0)

    def offsets(items: list[int]) -> int:
        builder.StartVector(4, len(items), 4)
        for item in reversed(items):
            builder.PrependUOffsetTRelative(item)
        return builder.EndVector()

    def integers(numbers: list[int]) -> int:
        builder.StartVector(4, len(numbers), 4)
        for number in reversed(numbers):
            builder.PrependInt32(number)
        return builder.EndVector()

    def tensor(name: str, type_: int, shape: list[int], signature: list[int]) -> int:
        parts = builder.CreateString(name), integers(shape), integers(signature) if signature else None
        tflite.TensorStart(builder)
        tflite.TensorAddName(builder, parts[0])
        tflite.TensorAddShape(builder, parts[1])
        tflite.TensorAddType(builder, type_)
        if parts[2] is not None:
            tflite.TensorAddShapeSignature(builder, parts[2])
        return tflite.TensorEnd(builder)

    def operation(inside: int, outside: int) -> int:
        tflite.OperatorStart(builder)
        tflite.OperatorAddInputs(builder, inside)
        tflite.OperatorAddOutputs(builder, outside)
        return tflite.OperatorEnd(builder)

    def code() -> int:
        tflite.OperatorCodeStart(builder)
        tflite.OperatorCodeAddDeprecatedBuiltinCode(builder, operator)
        tflite.OperatorCodeAddBuiltinCode(builder, operator)
        tflite.OperatorCodeAddVersion(builder, 1)
        return tflite.OperatorCodeEnd(builder)

    def no_buffer() -> int:
        tflite.BufferStart(builder)
        return tflite.BufferEnd(builder)

    def subgraph() -> int:
        tensors = offsets([tensor(*value) for value in values])
        inside = integers(list(range(len(values) - outputs)))
        outside = integers(list(range(len(values) - outputs, len(values))))
        operators = offsets([operation(inside, outside)]) if operator is not None else None
        tflite.SubGraphStart(builder)
        if operators is not None:
            tflite.SubGraphAddOperators(builder, operators)
        tflite.SubGraphAddTensors(builder, tensors)
        tflite.SubGraphAddInputs(builder, inside)
        tflite.SubGraphAddOutputs(builder, outside)
        return tflite.SubGraphEnd(builder)

    graphs = offsets([subgraph() for _ in range(subgraphs)])
    needed = (offsets([code()]), offsets([no_buffer()])) if operator is not None else None
    description = builder.CreateString("made in a test")
    tflite.ModelStart(builder)
    tflite.ModelAddVersion(builder, 3)
    if needed is not None:
        tflite.ModelAddOperatorCodes(builder, needed[0])
        tflite.ModelAddBuffers(builder, needed[1])
    tflite.ModelAddSubgraphs(builder, graphs)
    tflite.ModelAddDescription(builder, description)
    builder.Finish(tflite.ModelEnd(builder), b"TFL3")
    return bytes(builder.Output())
