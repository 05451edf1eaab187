"""ONNX files by onnxruntime."""

from __future__ import annotations

from typing import Any

import onnxruntime

from .arrays import encode_array, to_array
from .worker import Inputs, Run

_ort: Any = onnxruntime  # it comes without types
encode = encode_array


def load(model: bytes) -> Run:
    _ort.set_default_logger_severity(4)
    options: Any = _ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session: Any = _ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    kinds = {value.name: value.type for value in session.get_inputs()}
    outputs = [value.name for value in session.get_outputs()]

    def run(inputs: Inputs) -> dict[str, Any]:
        if unknown := sorted(inputs.keys() - kinds.keys()):
            raise ValueError(f"the file has no input {unknown[0]!r}; its inputs are {', '.join(sorted(kinds))}")
        arrays = {name: to_array(tensor) for name, tensor in inputs.items()}
        half = [name for name in arrays if kinds[name] == "tensor(float16)"]
        arrays |= {name: arrays[name].astype("f2") for name in half}
        return dict(zip(outputs, session.run(outputs, arrays), strict=True))

    return run
