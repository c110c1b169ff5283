"""From an ONNX file to a float graph."""
