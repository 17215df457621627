"""Caption metrics as the COCO caption evaluation has them: BLEU, ROUGE-L and CIDEr-D.

- BLEU-1 to BLEU-4 (Papineni et al., "BLEU: a Method for Automatic Evaluation of Machine Translation", 2002): of the
  whole corpus, each caption beside the reference nearest to it in length.
- ROUGE-L (Lin, "ROUGE: A Package for Automatic Evaluation of Summaries", 2004): with beta 1.2, precision and recall
  each the best over the references; the mean over images.
- CIDEr-D (Vedantam et al., "CIDEr: Consensus-based Image Description Evaluation", 2015): n-grams up to 4, sigma 6,
  document frequencies from the references at hand, times 10; the mean over images.

Upstream: ``pycocoevalcap`` of https://github.com/tylin/coco-caption (Chen et al., "Microsoft COCO Captions: Data
Collection and Evaluation Server", 2015). Its METEOR and SPICE are Java programs and left out. All that a metric needs
is summed over images, so that `blipvino.metrics.bootstrap` can sum over others.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain

import numpy as np

from blipvino.arrays import DoubleArray
from blipvino.metrics.tokenization import Tokens

Ngrams = Counter[Tokens]

LONGEST = 4
"""Of the n-grams."""
BETA = 1.2
SIGMA = 6.0
SCALE = 10.0

_CORRECT, _GUESSED = slice(0, LONGEST), slice(LONGEST, 2 * LONGEST)
_LENGTH, _REFERENCE_LENGTH, _ROUGE, _CIDER, _IMAGES = range(2 * LONGEST, 2 * LONGEST + 5)
STATISTICS = 2 * LONGEST + 5
"""Numbers that are summed over images: n-grams found in a reference and n-grams said, of each length; words said and
words of the nearest reference; ROUGE-L, CIDEr-D, and 1 for the image."""
_TINY, _SMALL = 1e-15, 1e-9
"""What upstream adds to numerators and denominators of BLEU."""


class ReferenceCaptions:
    """Reference captions of a corpus, against which captions are measured.

    Args:
        references: of each image, one or more, in tokens.
    """

    def __init__(self, references: Sequence[Sequence[Tokens]]) -> None:
        self._references = references
        counted = [[_ngrams(reference) for reference in those] for those in references]
        self._most = [_largest(those) for those in counted]
        frequencies = Counter(chain.from_iterable(self._most))
        self._weigh = _Weigher(frequencies, math.log(max(len(references), 1)))
        self._vectors = [
            [self._weigh(ngrams, len(reference)) for ngrams, reference in zip(those, texts, strict=True)]
            for those, texts in zip(counted, references, strict=True)
        ]

    def statistics(self, captions: Sequence[Tokens]) -> DoubleArray:
        """What `CAPTION_METRICS` are made of, for one caption of each image: ``[images, STATISTICS]``."""
        rows = np.zeros((len(captions), STATISTICS))
        for image, caption in enumerate(captions):
            ngrams, references = _ngrams(caption), self._references[image]
            for ngram, count in ngrams.items():
                rows[image, len(ngram) - 1] += min(count, self._most[image][ngram])
            rows[image, _GUESSED] = [max(0, len(caption) - n) for n in range(LONGEST)]
            rows[image, _LENGTH] = len(caption)
            rows[image, _REFERENCE_LENGTH] = min((abs(len(r) - len(caption)), len(r)) for r in references)[1]
            rows[image, _ROUGE] = rouge_l(caption, references)
            vector = self._weigh(ngrams, len(caption))
            similar = [_similarity(vector, reference) for reference in self._vectors[image]]
            rows[image, _CIDER] = SCALE * sum(similar) / len(similar)
        rows[:, _IMAGES] = 1
        return rows


def bleu(sums: DoubleArray, n: int) -> DoubleArray:
    """BLEU of n-grams up to ``n``, of sums of statistics ``[..., STATISTICS]``."""
    precisions = (sums[..., _CORRECT] + _TINY) / (sums[..., _GUESSED] + _SMALL)
    score = np.prod(precisions[..., :n], axis=-1) ** (1 / n)
    ratio = (sums[..., _LENGTH] + _TINY) / (sums[..., _REFERENCE_LENGTH] + _SMALL)
    return score * np.exp(np.minimum(0, 1 - 1 / ratio))


def _mean(sums: DoubleArray, column: int) -> DoubleArray:
    return sums[..., column] / sums[..., _IMAGES]


CAPTION_METRICS: Mapping[str, Callable[[DoubleArray], DoubleArray]] = {
    **{f"BLEU-{n}": partial(bleu, n=n) for n in range(1, LONGEST + 1)},
    "ROUGE-L": partial(_mean, column=_ROUGE),
    "CIDEr-D": partial(_mean, column=_CIDER),
}
"""Each metric as a function of sums of statistics ``[..., STATISTICS]``. BLEU and ROUGE-L are from 0 to 1, CIDEr-D is
from 0 to 10."""


def caption_scores(captions: Sequence[Tokens], references: Sequence[Sequence[Tokens]]) -> dict[str, float]:
    """Every metric of one caption for each image, against one or more references of each."""
    sums = ReferenceCaptions(references).statistics(captions).sum(axis=0)
    return {name: float(metric(sums)) for name, metric in CAPTION_METRICS.items()}


def rouge_l(caption: Tokens, references: Sequence[Tokens]) -> float:
    """ROUGE-L of one caption, from 0 to 1."""
    common = [_common_length(caption, reference) for reference in references]
    if not any(common):
        return 0.0
    precision = max(common) / len(caption)
    recall = max(length / len(reference) for length, reference in zip(common, references, strict=True) if length)
    return (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision)


def _common_length(first: Tokens, second: Tokens) -> int:
    """Length of the longest common subsequence, row by row of the usual table."""
    row = [0] * (len(second) + 1)
    for word in first:
        diagonal = 0
        for place, other in enumerate(second, start=1):
            above = row[place]
            row[place] = diagonal + 1 if word == other else max(above, row[place - 1])
            diagonal = above
    return row[-1]


def _ngrams(tokens: Tokens) -> Ngrams:
    """How often each n-gram of 1 to `LONGEST` tokens occurs."""
    return Counter(tokens[start : start + n] for n in range(1, LONGEST + 1) for start in range(len(tokens) - n + 1))


def _largest(counted: Sequence[Ngrams]) -> Ngrams:
    """The largest count of each n-gram in any of several texts."""
    most: Ngrams = Counter()
    for ngrams in counted:
        most |= ngrams
    return most


@dataclass(frozen=True)
class _Vector:
    """A text's n-grams weighted by term and inverse document frequency, with the norm of each n, and its length."""

    weights: Mapping[Tokens, float]
    norms: tuple[float, ...]
    length: int


@dataclass(frozen=True)
class _Weigher:
    """CIDEr's weights: count times ``log(images / images with the n-gram in a reference)``."""

    frequencies: Ngrams
    log_images: float

    def __call__(self, ngrams: Ngrams, length: int) -> _Vector:
        weights = {
            ngram: count * (self.log_images - math.log(max(1, self.frequencies[ngram])))
            for ngram, count in ngrams.items()
        }
        squares = [0.0] * LONGEST
        for ngram, weight in weights.items():
            squares[len(ngram) - 1] += weight**2
        return _Vector(weights, tuple(map(math.sqrt, squares)), length)


def _similarity(caption: _Vector, reference: _Vector) -> float:
    """CIDEr-D's similarity: cosine with the caption's weights clipped to the reference's, less for other lengths."""
    products = [0.0] * LONGEST
    for ngram, weight in caption.weights.items():
        if (other := reference.weights.get(ngram)) is not None:
            products[len(ngram) - 1] += min(weight, other) * other
    norms = [a * b for a, b in zip(caption.norms, reference.norms, strict=True)]
    cosines = [product / norm for product, norm in zip(products, norms, strict=True) if norm]
    penalty = math.exp(-((caption.length - reference.length) ** 2) / (2 * SIGMA**2))
    return sum(cosines) / LONGEST * penalty
