"""Inference with a bundle, in numpy and OpenVINO alone."""
