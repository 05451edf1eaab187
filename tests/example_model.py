"""Makes the sandbox's example model: python tests/example_model.py

It names a flower by the colour of a picture: the mean of the pixels of an uncompressed BMP with 24 bits a pixel,
compared with the colours of five flowers. It is a toy, but its answers make sense.
"""

import sys
from pathlib import Path

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

FILE = Path(__file__).parents[1] / "server" / "sandbox" / "example.onnx"

FLOWERS = {
    "rose": (200, 20, 40),
    "sunflower": (250, 200, 20),
    "cornflower": (70, 100, 220),
    "violet": (130, 60, 170),
    "daisy": (245, 245, 240),
}
"""With their colours: red, green, blue."""
_HEADER_BYTES = 54
_SHARPNESS = 12.0


def example_model() -> bytes:
    node, constants = helper.make_node, _constants()
    nodes = [
        node("Slice", ["image", "header", "end"], ["rows"]),
        # Whole pixels only: rows can end with padding.
        node("Shape", ["rows"], ["size"]),
        node("Div", ["size", "three"], ["count"]),
        node("Mul", ["count", "three"], ["whole"]),
        node("Slice", ["rows", "zero", "whole"], ["bytes"]),
        node("Cast", ["bytes"], ["numbers"], to=TensorProto.FLOAT),
        node("Reshape", ["numbers", "pixels"], ["colours"]),
        node("ReduceMean", ["colours"], ["mean"], axes=[0], keepdims=1),
        node("Sub", ["mean", "flowers"], ["difference"]),
        node("Mul", ["difference", "difference"], ["squares"]),
        node("ReduceMean", ["squares"], ["distance"], axes=[1], keepdims=0),
        node("Sqrt", ["distance"], ["root"]),
        node("Mul", ["root", "sharpness"], ["nearness"]),
        node("Softmax", ["nearness"], ["scores"], axis=0),
        node("ArgMax", ["scores"], ["best"], axis=0, keepdims=0),
        node("Gather", ["names", "best"], ["name"]),
        node("Slice", ["image", "zero", "two"], ["signature"]),
        node("Cast", ["signature"], ["signature numbers"], to=TensorProto.INT32),
        node("Sub", ["signature numbers", "BM"], ["signature difference"]),
        node("Abs", ["signature difference"], ["signature distance"]),
        node("ReduceSum", ["signature distance"], ["signature sum"], keepdims=0),
        node("Cast", ["signature sum"], ["is another format"], to=TensorProto.BOOL),
        node("Where", ["is another format", "no picture", "name"], ["label"]),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "flowers by colour",
        [value("image", TensorProto.UINT8, ["bytes"])],
        [value("label", TensorProto.STRING, []), value("scores", TensorProto.FLOAT, [len(FLOWERS)])],
        constants,
    )
    model: ModelProto = helper.make_model(
        graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)], producer_name="decthings-mcp"
    )
    return model.SerializeToString(deterministic=True)


def _constants() -> list[TensorProto]:
    blue_green_red = np.array([colour[::-1] for colour in FLOWERS.values()], np.float32)
    numbers = {
        "header": np.array([_HEADER_BYTES], np.int64),
        "end": np.array([2**62], np.int64),
        "zero": np.array([0], np.int64),
        "two": np.array([2], np.int64),
        "three": np.array([3], np.int64),
        "pixels": np.array([-1, 3], np.int64),
        "flowers": blue_green_red,
        "sharpness": np.array(-_SHARPNESS / 255, np.float32),
        "BM": np.array(list(b"BM"), np.int32),
    }
    strings = {
        "names": np.array(list(FLOWERS), object),
        "no picture": np.array("not an uncompressed BMP picture", object),
    }
    return [numpy_helper.from_array(array, name) for name, array in (numbers | strings).items()]


if __name__ == "__main__":
    FILE.write_bytes(example_model())
    print(f"{FILE.name}: {FILE.stat().st_size} bytes", file=sys.stderr)
