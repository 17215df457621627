"""The shapes world: a seeded world of scenes, captions and questions, and the checkpoint trained on it."""

from pathlib import Path

CHECKPOINT = Path(__file__).parent / "checkpoint"
"""The embedded demo checkpoint, in Hugging Face layout; docs/demo-model.md tells how it was trained."""


def resolve(source: str | Path) -> str | Path:
    """``demo`` is the embedded checkpoint, unless there is a checkpoint of that name here; anything else is itself."""
    return CHECKPOINT if str(source) == "demo" and not Path("demo", "config.json").is_file() else source
