"""AllowedFiles on this machine: which ones may be opened, and what an ONNX or TFLite file says of itself."""
