"""Which questions of a source are asked, and which images are captioned."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from blipvino.data import Sample, SampleSource
from blipvino.errors import DataError


@dataclass(frozen=True)
class Assignment:
    """One image: the questions of ``sample`` are asked, all of them; ``captioned`` says whether it is captioned too."""

    sample: Sample
    captioned: bool


def select(source: SampleSource, questions: int, captions: int, seed: int) -> list[Assignment]:
    """The first questions of a source's seeded shuffle, and its first images.

    Args:
        source: where the samples come from.
        questions: how many to ask; the last image's are cut to fit.
        captions: how many images to caption, whether they have reference captions or not.
        seed: of the shuffle.

    Returns:
        Each image once, in the order of the shuffle; fewer where the source holds fewer.

    Raises:
        DataError: the source cannot be read, or holds nothing that could be asked or captioned.
    """
    limit = max(questions, captions)
    chosen = list(_chosen(islice(source.samples(seed, limit), limit), questions, captions))
    if not chosen:
        wanted = "questions" if not captions else "images"
        raise DataError(f"{source.name}: no {wanted} in it to evaluate on; choose another source")
    return chosen


def _chosen(samples: Iterable[Sample], questions: int, captions: int) -> Iterator[Assignment]:
    for sample in samples:
        asked = sample.questions[:questions]
        if asked or captions:
            yield Assignment(replace(sample, questions=asked), captions > 0)
        questions, captions = questions - len(asked), max(0, captions - 1)
        if not questions and not captions:
            return


def select_known(
    source: SampleSource, question_ids: Collection[int], image_ids: Collection[int | str], seed: int
) -> list[Assignment]:
    """The questions with these ids, and the images with these ids as ones that are captioned.

    Raises:
        DataError: the source cannot be read, or has no question or image of some id.
    """
    missing_questions, missing_images = set(question_ids), set(image_ids)
    chosen = []
    for sample in source.samples(seed, sys.maxsize):
        asked = tuple(question for question in sample.questions if question.question_id in missing_questions)
        captioned = sample.image_id in missing_images
        if asked or captioned:
            chosen.append(Assignment(replace(sample, questions=asked), captioned))
        missing_questions -= {question.question_id for question in asked}
        missing_images -= {sample.image_id}
        if not missing_questions and not missing_images:
            return chosen
    kind, ids = ("question", missing_questions) if missing_questions else ("image", missing_images)
    raise DataError(
        f"{source.name}: no {kind} {next(iter(ids))!r} in it, one of {len(ids)} that are missing; "
        "name the source that the predictions are about"
    )


def digest(assignments: Sequence[Assignment]) -> str:
    """SHA-256 over what is asked and captioned: the same for the same selection of the same data."""
    listed = [
        [one.sample.image_id, one.captioned, [[q.question_id, q.text] for q in one.sample.questions]]
        for one in assignments
    ]
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()
