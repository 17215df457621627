"""The shapes world: a seeded world of scenes, captions and questions, and the checkpoints trained on it."""

from pathlib import Path

__all__ = ["CHECKPOINT", "NAMES", "RETRIEVAL_CHECKPOINT", "resolve"]

CHECKPOINT = Path(__file__).parent / "checkpoint"
"""The embedded demo checkpoint, in Hugging Face layout; docs/demo-model.md tells how it was trained."""
RETRIEVAL_CHECKPOINT = Path(__file__).parent / "retrieval_checkpoint"
"""The embedded retrieval checkpoint, likewise."""
NAMES = {"demo": CHECKPOINT, "demo-retrieval": RETRIEVAL_CHECKPOINT}
"""What users call the embedded checkpoints."""


def resolve(source: str | Path) -> str | Path:
    """The embedded checkpoint of a name, unless there is a checkpoint of that name here; anything else is itself."""
    embedded = NAMES.get(str(source))
    return source if embedded is None or Path(source, "config.json").is_file() else embedded
