"""The shapes world as a sample source: samples that need no download, and that no training scene shares."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from PIL import Image

from blipvino.data.claims import Claim
from blipvino.data.samples import Question, Sample, shuffled
from blipvino.demo.captions import references
from blipvino.demo.contrasts import CONTRAST_TYPES
from blipvino.demo.questions import sample_questions
from blipvino.demo.scenes import Split, render, sample_scene, scene_rng

SCENES = 10_000
"""Scenes of a split that the source shuffles; the world itself has no end."""
QUESTIONS_PER_SCENE = 8
ANNOTATORS = 10
"""VQAv2 has ten answers to a question; here all ten agree."""
_QUESTION_STREAM = 1
_CLAIM_STREAM = 2


@dataclass(frozen=True)
class DemoSource:
    """The first `SCENES` scenes of a split of the shapes world, with questions, answers and reference captions."""

    split: Split = "validation"

    @property
    def name(self) -> str:
        """``demo:`` and the split."""
        return f"demo:{self.split}"

    def samples(self, seed: int, limit: int) -> Iterator[Sample]:
        """Yield one sample a scene. See `SampleSource.samples`."""
        for index in shuffled(range(SCENES), seed):
            yield demo_sample(self.split, index)

    def claims(self, sample: Sample) -> tuple[Claim, ...]:
        """A true and a false claim of each type about a sample's scene, as far as it allows; see `ClaimSource`."""
        scene = sample_scene(self.split, int(sample.image_id))
        rng = scene_rng(self.split, scene.index, _CLAIM_STREAM)
        pairs = [pair for ask in CONTRAST_TYPES.values() if (pair := ask(scene, rng)) is not None]
        return tuple(
            Claim(text, holds, pair.kind) for pair in pairs for text, holds in ((pair.true, True), (pair.false, False))
        )


def demo_sample(split: Split, index: int, questions: int = QUESTIONS_PER_SCENE) -> Sample:
    """The sample of one scene.

    Args:
        split: Of the world.
        index: The scene's number in its split, and the sample's image id.
        questions: How many to ask at most; now and then a scene allows fewer.

    Returns:
        A sample whose image is RGB, 96 by 96 pixels, and whose question ids are ``1000 * index`` and following, as
        VQAv2 numbers the questions of an image.
    """
    scene = sample_scene(split, index)
    asked = sample_questions(scene, scene_rng(split, index, _QUESTION_STREAM), questions)
    return Sample(
        image_id=index,
        load=partial(_render, split, index),
        questions=tuple(
            Question(q.text, 1000 * index + number, (q.answer,) * ANNOTATORS, q.kind, q.answer_type)
            for number, q in enumerate(asked)
        ),
        captions=tuple(references(scene)),
    )


def _render(split: Split, index: int) -> Image.Image:
    return Image.fromarray(render(sample_scene(split, index)))
