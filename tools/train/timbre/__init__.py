"""Makes the network behind the model `timbre@7`: from packages to ONNX files."""
