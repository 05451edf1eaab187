"""TFLite files by Google's LiteRT."""

from __future__ import annotations

from typing import Any

from ai_edge_litert.interpreter import Interpreter

from .arrays import encode_array, to_array
from .worker import Inputs, Run

encode = encode_array


def load(model: bytes) -> Run:
    interpreter: Any = Interpreter(model_content=model, num_threads=1)
    indexes = {details["name"]: details["index"] for details in interpreter.get_input_details()}

    def run(inputs: Inputs) -> dict[str, Any]:
        if inputs.keys() != indexes.keys():
            raise ValueError(f"the inputs of the file are {', '.join(sorted(indexes))}")
        arrays = {name: to_array(tensor) for name, tensor in inputs.items()}
        for name, array in arrays.items():
            interpreter.resize_tensor_input(indexes[name], list(array.shape))
        interpreter.allocate_tensors()
        for name, array in arrays.items():
            interpreter.set_tensor(indexes[name], array)
        interpreter.invoke()
        outputs = interpreter.get_output_details()
        return {details["name"]: interpreter.get_tensor(details["index"]) for details in outputs}

    return run
