"""The trainer of the demo models; not part of the package."""
