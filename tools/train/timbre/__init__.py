"""Makes the network behind the model `timbre@4`: from packages to ONNX files."""
