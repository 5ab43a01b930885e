"""Makes the network behind the model `timbre@3`: from packages to ONNX files."""
