"""Makes the network behind the model `timbre@1`: from packages to ONNX files."""
