"""What every contender of the benchmark does: the same texts from the same images, by its own means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from PIL import Image

Tokens = list[list[int]]
"""Generated token ids, a list a row, without the prompt and with the closing token where it was generated."""


class Contender(Protocol):
    """One way to run a BLIP checkpoint. Text is greedy and exactly ``new_tokens`` long: no row closes before."""

    def caption(self, images: Sequence[Image.Image], new_tokens: int) -> Tokens:
        """Caption decoded RGB images together, in one batch."""
        ...

    def answer(self, images: Sequence[Image.Image], questions: Sequence[str], new_tokens: int) -> Tokens:
        """Answer one question about each image, together; nothing is remembered from earlier calls."""
        ...

    def prepare_image(self, image: Image.Image) -> None:
        """Prepare for questions about an image as far as this contender can; not part of any timing."""
        ...

    def answer_again(self, question: str, new_tokens: int) -> Tokens:
        """Answer a further question about the image that was prepared."""
        ...

    def graph_seconds(self, image: Image.Image, question: str) -> dict[str, float]:
        """Seconds of each part on its own, batch 1: "vision", "question", ..., "step"; empty if it has no parts.

        "step" is one decoding step of the second token or later, over image embeddings, as in captioning.
        """
        ...
