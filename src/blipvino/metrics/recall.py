"""Recall at k: how often the right one is among the first k that are found."""

from __future__ import annotations

import numpy as np

from blipvino.arrays import FloatArray, IntArray

RECALL_AT = (1, 5, 10)


def ranks(scores: FloatArray, right: IntArray) -> IntArray:
    """Where the right one stands in each row's order, the highest score first: int64 ``[Q]``, 0 is the first.

    One that has the score of others stands before them; one that was not found at all (a score of minus infinity)
    stands behind everything.

    Args:
        scores: ``[Q, N]``.
        right: the place of the right one of each row, ``[Q]``.
    """
    own = np.take_along_axis(scores, right[:, None], axis=1)
    before = (scores > own).sum(axis=1)
    return np.where(np.isneginf(own[:, 0]), scores.shape[1], before).astype(np.int64)
