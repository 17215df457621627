"""Training examples of the retrieval model: a picture, its caption, and texts that are true or false of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from blipvino.demo.captions import caption
from blipvino.demo.contrasts import sample_contrasts
from blipvino.demo.scenes import render, sample_scene, scene_rng
from blipvino.demo.vocabulary import SPECIAL_TOKENS
from training.examples import TensorBatch
from training.plan import RetrievalPlan

CONTRASTS = 3
"""Pairs of a true and a false text about a picture."""
TEXT_TOKENS = 32
PADDING = SPECIAL_TOKENS.index("[PAD]")


@dataclass
class RetrievalBatch(TensorBatch):
    """Pictures uint8 ``[B, H, W, 3]``, captions ``[B, T]``, texts about them ``[B, N, T]``, and ``[B, N]`` if true."""

    images: Tensor
    captions: Tensor
    texts: Tensor
    truth: Tensor


def encode(texts: Sequence[str], tokenizer: Tokenizer) -> Tensor:
    """Token ids ``[N, T]``, padded."""
    ids = torch.full((len(texts), TEXT_TOKENS), PADDING)
    for row, encoding in zip(ids, tokenizer.encode_batch(list(texts)), strict=True):
        row[: len(encoding.ids)] = torch.tensor(encoding.ids)
    return ids


class RetrievalBatches:
    """Makes the retrieval model's batches; the step decides the scenes and the texts."""

    def __init__(self, plan: RetrievalPlan, tokenizer: Tokenizer) -> None:
        self.plan, self.tokenizer = plan, tokenizer

    def __call__(self, step: int) -> RetrievalBatch:
        """The batch of a step."""
        scenes = [sample_scene("train", step * self.plan.batch + row) for row in range(self.plan.batch)]
        pairs = [sample_contrasts(scene, scene_rng("train", scene.index, 2), CONTRASTS) for scene in scenes]
        texts = [text for each in pairs for pair in each for text in (pair.true, pair.false)]
        return RetrievalBatch(
            images=torch.from_numpy(np.stack([render(scene) for scene in scenes])),
            captions=encode([caption(scene) for scene in scenes], self.tokenizer),
            texts=encode(texts, self.tokenizer).view(len(scenes), 2 * CONTRASTS, TEXT_TOKENS),
            truth=torch.tensor([1, 0] * CONTRASTS).repeat(len(scenes), 1),
        )
