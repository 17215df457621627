"""How large the published BLIP checkpoints are, by their shapes: no weights are made or fetched.

python -m benchmarks.published_sizes
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import torch
from transformers import (
    BlipConfig,
    BlipForConditionalGeneration,
    BlipForImageTextRetrieval,
    BlipForQuestionAnswering,
    PreTrainedModel,
)

from benchmarks.random_checkpoint import VISION
from blipvino.text.tables import TextTable, markdown_table

_PUBLISHED: tuple[tuple[type[PreTrainedModel], str], ...] = (
    (BlipForQuestionAnswering, "base"),
    (BlipForConditionalGeneration, "base"),
    (BlipForConditionalGeneration, "large"),
    (BlipForImageTextRetrieval, "base"),
    (BlipForImageTextRetrieval, "large"),
)
_NAMES = {"base": "ViT-B", "large": "ViT-L"}


@dataclass(frozen=True)
class Size:
    """How large a checkpoint is.

    Attributes:
        name: its class and the size of its vision model.
        parameters: how many it has; those that are tied count once.
    """

    name: str
    parameters: int

    def megabytes(self, bits: int) -> float:
        """Its weights with so many bits each, in millions of bytes."""
        return self.parameters * bits / 8 / 1e6


def published_sizes() -> list[Size]:
    """The size of each kind of checkpoint, in the order of the documentation."""
    return [Size(f"`{model.__name__}`, {_NAMES[size]}", _parameters(model, size)) for model, size in _PUBLISHED]


def _parameters(model: type[PreTrainedModel], size: str) -> int:
    vision = {**VISION[size], "image_size": 384}
    text = {"num_attention_heads": 12, "encoder_hidden_size": vision["hidden_size"]}
    with torch.device("meta"):
        made = model(BlipConfig(text_config=text, vision_config=vision))
    return sum(parameter.numel() for parameter in made.parameters())  # a tied parameter is one object


def sizes_table(sizes: list[Size]) -> TextTable:
    """The table that the documentation has."""
    bits = (32, 16, 8)
    head = ("class, size", "parameters, millions", *(f"{each}-bit weights, MB" for each in bits))
    rows = tuple(
        (size.name, f"{size.parameters / 1e6:,.0f}", *(f"{size.megabytes(each):,.0f}" for each in bits))
        for size in sizes
    )
    return TextTable("", head, rows)


def main() -> None:
    """Print the table."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    print(markdown_table(sizes_table(published_sizes())), end="")


if __name__ == "__main__":
    main()
