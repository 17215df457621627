"""When a caption counts as right, for which there is no official rule.

Where the references are all that may be said, as in the demo's world, a caption is right that is one of them, word for
word. Of photographs hardly any is: there a caption counts as right whose own CIDEr-D, which is otherwise a mean over
images, reaches a threshold.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from blipvino.arrays import DoubleArray
from blipvino.checks import real, shown
from blipvino.errors import InputError
from blipvino.metrics.caption_metrics import CAPTION_METRICS, ReferenceCaptions
from blipvino.metrics.tokenization import tokenize_caption

LEAST_CIDER = 1.0
"""From 0 to 10, of which tables show 100 times as much; BLIP's mean on COCO is 1.3 (Li et al., 2022, table 7)."""


def caption_rule(source: str, least_cider: object) -> float | None:
    """The CIDEr-D from which on a caption is right; None where a reference is asked for, word for word.

    Args:
        source: name of the samples.
        least_cider: the threshold, above 0 and at most 10; None for words; "auto" is None for the demo's world and 1
            elsewhere.

    Raises:
        InputError: it is out of its range.
    """
    if isinstance(least_cider, str) and least_cider == "auto":
        return None if source.startswith("demo:") else LEAST_CIDER
    if least_cider is None:
        return None
    number = real("least_cider", least_cider)
    if not 0 < number <= 10:
        raise InputError(
            f'least_cider is {shown(least_cider)}, expected a number above 0 and at most 10, None or "auto"'
        )
    return number


def right_captions(
    captions: Sequence[str], references: Sequence[Sequence[str]], least_cider: float | None
) -> DoubleArray:
    """Whether each caption is right, 0 or 1, ``[N]``.

    Args:
        captions: one an image.
        references: of each image, one or more; document frequencies are theirs.
        least_cider: from which CIDEr-D on; None asks for a reference word for word.
    """
    said = [tokenize_caption(text) for text in captions]
    known = [[tokenize_caption(text) for text in those] for those in references]
    exact = np.array([text in those for text, those in zip(said, known, strict=True)], np.float64)
    if least_cider is None:
        return exact
    scores = CAPTION_METRICS["CIDEr-D"](ReferenceCaptions(known).statistics(said))
    return np.maximum(exact, scores >= least_cider)


def describe_rule(least_cider: float | None) -> str:
    """The rule in words, after "right:"."""
    if least_cider is None:
        return "one of the reference captions, word for word"
    return f"CIDEr-D of {100 * least_cider:g} or more, or a reference caption word for word"
