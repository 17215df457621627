"""Shapes of a small captioner."""

from blipvino.checkpoint.architectures import CAPTIONING
from blipvino.checkpoint.config import BlipConfig, TextConfig, VisionConfig

TINY = BlipConfig(
    CAPTIONING,
    VisionConfig(48, 64, 3, 3, image_size=32, patch_size=8),
    TextConfig(206, 64, 48, 80, 2, 4, max_position_embeddings=64, bos_token_id=5, sep_token_id=3),
)
"""Two widths, and no two sizes alike, so that none can stand for another."""
