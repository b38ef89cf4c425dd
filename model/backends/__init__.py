"""The one place where a network runs: ONNX Runtime or PyTorch behind `model.backends.interface`."""
