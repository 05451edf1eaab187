"""Running an ONNX or TFLite file on this machine, in a process of its own with bounded memory and time."""
