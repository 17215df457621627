"""The shapes world: a seeded world of scenes, captions and questions, and the checkpoint trained on it."""

from pathlib import Path

CHECKPOINT = Path(__file__).parent / "checkpoint"
"""The embedded demo checkpoint, in Hugging Face layout; docs/demo-model.md tells how it was trained."""
