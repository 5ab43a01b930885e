"""Makes the network behind the model `timbre@5`: from packages to ONNX files."""
