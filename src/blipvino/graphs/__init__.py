"""BLIP's OpenVINO graphs, built with opset from a checkpoint's tensors: the cuts of the design, one module each."""
