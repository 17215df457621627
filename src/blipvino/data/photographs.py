"""The photographs that a command was given as a sample source: nothing fits what is to come better."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PIL import Image

from blipvino.data.natural import NaturalSource
from blipvino.data.question_bank import bank_questions
from blipvino.data.samples import DEFAULT_SAMPLES, DEFAULT_SEED, Sample, SampleSource, shuffled
from blipvino.errors import ImageError
from blipvino.files.image_files import open_image
from blipvino.progress import Reporter
from blipvino.text.units import counted

LEAST = 32
"""Photographs below which ranges would fit them and not what is to come."""
QUESTIONS_PER_PHOTOGRAPH = 10
"""That a photograph has to offer: the fewest photographs make as many samples as the most."""
_DRAFT_SIDE = 1024
"""Pixels of a side that will do: a larger JPEG is decoded at a half, a quarter or an eighth of its size."""
_TOLD = 3
"""Photographs that cannot be read are named, up to so many."""


@dataclass(frozen=True)
class PhotoSource:
    """Image files, with questions that could be asked of any photograph. An image's id is its path.

    Attributes:
        paths: of the files, which are not looked at before they are used: see `photo_source`.
    """

    paths: tuple[Path, ...]

    @property
    def name(self) -> str:
        """``photos``: where they lie is nobody's business."""
        return "photos"

    def samples(self, seed: int, limit: int) -> Iterator[Sample]:
        """Yield one sample an image. See `SampleSource.samples`."""
        for number in shuffled(range(len(self.paths)), seed):
            path = self.paths[number]
            questions = bank_questions(number, QUESTIONS_PER_PHOTOGRAPH)
            yield Sample(str(path), partial(_load, path), questions, file=path.name)


def photo_source(
    paths: Iterable[str | Path],
    reporter: Reporter | None = None,
    *,
    least: int = LEAST,
    most: int = DEFAULT_SAMPLES,
    seed: int = DEFAULT_SEED,
) -> SampleSource:
    """The photographs that can be read, as samples to calibrate on; generated pictures where these are too few.

    Photographs are decoded one by one, in an order that the seed decides, until there are enough. Which source is taken
    and which photographs cannot be read is said in lines.

    Args:
        paths: image files; of one that is named twice, one is taken.
        reporter: says it; standard error by default.
        least: photographs that there must be.
        most: photographs that are taken, of more that there are.
        seed: of the order.

    Returns:
        A `PhotoSource`, or a `NaturalSource`; both for `CalibrationOptions(source=...)`.
    """
    reporter = reporter or Reporter()
    given = list(dict.fromkeys(Path(path) for path in paths))
    kept, unreadable = _readable(given, most, seed, reporter) if len(given) >= least else ([], [])
    for error in unreadable[:_TOLD]:
        reporter.say(f"Not calibrated on: {error}")
    without = f" ({len(unreadable)} cannot be read)" if unreadable else ""
    if len(kept) < least:
        there_are = f"{counted(len(given), 'photograph')} given{without}, fewer than the {least} that ranges take"
        reporter.say(f"Calibrating on generated pictures: {there_are if given else 'no photographs given'}")
        return NaturalSource()
    of = f" of {len(given):,}" if len(kept) < len(given) else ""
    reporter.say(f"Calibrating on {len(kept)}{of} photographs that were given{without}")
    return PhotoSource(tuple(kept))


def _load(path: Path) -> Image.Image:
    """Decode an image file, in its own mode; the first frame of an animation.

    Raises:
        ImageError: it cannot be read.
    """
    with open_image(path, str(path)) as image:
        image.draft(image.mode, (_DRAFT_SIDE, _DRAFT_SIDE))
        image.load()
        return image


def _readable(paths: Sequence[Path], most: int, seed: int, reporter: Reporter) -> tuple[list[Path], list[ImageError]]:
    """As many photographs as there may be, in the order of the paths, and why those that were met cannot be read."""
    kept, unreadable = list[Path](), list[ImageError]()
    looked_at = reporter.track(shuffled(paths, seed), "Looking through photographs", min(most, len(paths)))
    with closing(looked_at):  # which ends its progress bar
        for path in looked_at:
            try:
                _load(path)
            except ImageError as error:
                unreadable.append(error)
            else:
                kept.append(path)
            if len(kept) == most:
                break
    place = {path: number for number, path in enumerate(paths)}
    return sorted(kept, key=place.__getitem__), unreadable
