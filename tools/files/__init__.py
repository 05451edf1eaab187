"""Files on this machine: which ones may be opened, and the structure of ONNX and TFLite files."""
