"""Training examples of the retrieval model: a picture, a text that finds it, and texts that are true or false of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from blipvino.demo.contrasts import sample_contrasts
from blipvino.demo.scenes import Scene, render, sample_scene, scene_rng
from blipvino.demo.statements import Statement, dense, listed, placed, short, true_of
from blipvino.demo.vocabulary import SPECIAL_TOKENS
from training.examples import TensorBatch
from training.plan import RetrievalPlan

CONTRASTS = 3
"""Pairs of a true and a false text about a picture."""
TEXT_TOKENS = 32
WHOLE = 0.5
"""Share of the finding texts that say all there is, four in five of them from left to right."""
PADDING = SPECIAL_TOKENS.index("[PAD]")


@dataclass
class RetrievalBatch(TensorBatch):
    """Pictures, and texts about them.

    Attributes:
        images: uint8 ``[B, H, W, 3]``.
        captions: of each picture a text that finds it, token ids ``[B, T]``: its caption, or less.
        fits: ``[B, B]``, whether picture ``i`` is as caption ``j`` says: a short one is true of several.
        texts: true and false of each picture, ``[B, N, T]``.
        truth: ``[B, N]``.
    """

    images: Tensor
    captions: Tensor
    fits: Tensor
    texts: Tensor
    truth: Tensor


def encode(texts: Sequence[str], tokenizer: Tokenizer) -> Tensor:
    """Token ids ``[N, T]``, padded."""
    ids = torch.full((len(texts), TEXT_TOKENS), PADDING)
    for row, encoding in zip(ids, tokenizer.encode_batch(list(texts)), strict=True):
        row[: len(encoding.ids)] = torch.tensor(encoding.ids)
    return ids


def finding_text(scene: Scene, rng: np.random.Generator) -> Statement:
    """What a scene is searched by: all that is in it, or some."""
    if rng.random() < WHOLE:
        return dense(scene, from_the_top=rng.random() < 0.2)
    draw = (short, listed, placed)[int(rng.integers(3))]
    return draw(scene, rng) or short(scene, rng)


class RetrievalBatches:
    """Makes the retrieval model's batches; the step decides the scenes and the texts."""

    def __init__(self, plan: RetrievalPlan, tokenizer: Tokenizer) -> None:
        self.plan, self.tokenizer = plan, tokenizer

    def __call__(self, step: int) -> RetrievalBatch:
        """The batch of a step."""
        scenes = [sample_scene("train", step * self.plan.batch + row) for row in range(self.plan.batch)]
        pairs = [sample_contrasts(scene, scene_rng("train", scene.index, 2), CONTRASTS) for scene in scenes]
        texts = [text for each in pairs for pair in each for text in (pair.true, pair.false)]
        found_by = [finding_text(scene, scene_rng("train", scene.index, 3)) for scene in scenes]
        return RetrievalBatch(
            images=torch.from_numpy(np.stack([render(scene) for scene in scenes])),
            captions=encode([statement.text for statement in found_by], self.tokenizer),
            fits=torch.from_numpy(true_of(found_by, scenes).T.copy()),
            texts=encode(texts, self.tokenizer).view(len(scenes), 2 * CONTRASTS, TEXT_TOKENS),
            truth=torch.tensor([1, 0] * CONTRASTS).repeat(len(scenes), 1),
        )
