"""How well the demo model answers and captions the scenes of a split, while it learns."""

from __future__ import annotations

from collections import defaultdict

import torch
from tokenizers import Tokenizer
from transformers import BlipForQuestionAnswering

from blipvino.demo.scenes import MAX_OBJECTS, Split
from training.examples import Batch, collate
from training.packed_forward import packed_logits
from training.packing import CAPTION_SEGMENT, IGNORED, packed_example

BATCH = 64


def examples_of(split: Split, scenes: int, tokenizer: Tokenizer, device: torch.device) -> list[Batch]:
    """The first scenes of a split, in batches."""
    starts = range(0, scenes, BATCH)
    numbers = [range(start, min(start + BATCH, scenes)) for start in starts]
    return [collate([packed_example(split, i, tokenizer, MAX_OBJECTS) for i in rows]).to(device) for rows in numbers]


@torch.no_grad()
def accuracy(model: BlipForQuestionAnswering, batches: list[Batch]) -> dict[str, float]:
    """Exact-match accuracy, from 0 to 1: per question type, of all questions ("all"), of captions in either order.

    Teacher-forced: an answer is right when each next token, the closing one included, is the arg-max, which is just
    when greedy decoding gives it.
    """
    right: dict[str, int] = defaultdict(int)
    asked: dict[str, int] = defaultdict(int)
    for batch in batches:
        wrong = ((packed_logits(model, batch).argmax(-1) != batch.labels) & (batch.labels != IGNORED)).cpu()
        segments = batch.decoder_segments.cpu()
        for row, kinds in enumerate(batch.kinds):
            for segment, kind in kinds.items():
                correct = not bool(wrong[row][segments[row] == segment].any())
                for name in (kind,) if segment == CAPTION_SEGMENT else (kind, "all"):
                    right[name] += correct
                    asked[name] += 1
    return {name: right[name] / asked[name] for name in sorted(asked)}
