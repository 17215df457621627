"""Measurements of bundles: size, latency, agreement with the original."""
