"""Makes the network behind the model `timbre@6`: from packages to ONNX files."""
