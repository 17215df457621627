"""Samples as a retrieval model reads them: their texts are captions, of the picture and of others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from blipvino.checkpoint.architectures import retrieves
from blipvino.data.samples import Question, Sample, SampleSource

FALLBACK_CAPTIONS = (
    "a man riding a horse on the beach",
    "two dogs playing with a red ball in the grass",
    "a kitchen with a wooden table, four chairs and a large window",
    "a plane",
    "a group of people standing around a market stall full of fruit",
    "a black and white photo of an old bridge over a river",
    "a small child in a yellow coat holding an umbrella",
    "a street at night with cars, signs and tall buildings",
)
"""Texts about images that come without captions, so that the text encoder sees text at all."""


@dataclass(frozen=True)
class CaptionTexts:
    """A source whose samples ask with captions in place of questions.

    Every other sample begins with a caption of the sample before: most texts that are matched with an image are not
    its own, and ranges of activations must fit these too.
    """

    source: SampleSource

    @property
    def name(self) -> str:
        """The source's."""
        return self.source.name

    def samples(self, seed: int, limit: int) -> Iterator[Sample]:
        """Yield the source's samples. See `SampleSource.samples`.

        Raises:
            DataError: as the source does.
        """
        before: tuple[str, ...] = ()
        for number, sample in enumerate(self.source.samples(seed, limit)):
            own = sample.captions or (FALLBACK_CAPTIONS[number % len(FALLBACK_CAPTIONS)],)
            texts = (*before[:1], *own) if number % 2 else own
            yield replace(sample, questions=tuple(Question(text, place) for place, text in enumerate(texts)))
            before = own


def read_by(architecture: str, source: SampleSource) -> SampleSource:
    """A source with the texts that a class of checkpoints reads: captions for retrieval, else its own questions."""
    return CaptionTexts(source) if retrieves(architecture) else source
