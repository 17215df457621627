"""Bootstrap confidence intervals over images (Efron, "Bootstrap Methods: Another Look at the Jackknife", 1979).

The questions of one image are answered from one look at it, so their answers are right or wrong together. Hence images
are drawn and not questions: the cluster bootstrap (Davison and Hinkley, "Bootstrap Methods and their Application",
1997, section 3.8). Every figure here is a function of sums over images. Figures made of the same draws are paired.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from blipvino.arrays import DoubleArray

CONFIDENCE = 0.95
RESAMPLES = 2000
_DRAWS_AT_A_TIME = 1_000_000


@dataclass(frozen=True)
class Estimate:
    """A figure with its percentile bootstrap interval, which holds `CONFIDENCE` of the resampled figures."""

    value: float
    low: float
    high: float


def resampled_sums(statistics: npt.ArrayLike, seed: int, resamples: int = RESAMPLES) -> DoubleArray:
    """Sums of statistics over images that are drawn with replacement, as many as there are.

    Args:
        statistics: what is summed, ``[images, figures]``.
        seed: of the draws, which depend on it and the number of images alone.
        resamples: how often.

    Returns:
        ``[resamples, figures]``.
    """
    values = np.asarray(statistics, np.float64)
    images = len(values)
    rng = np.random.default_rng(seed)
    sums = np.empty((resamples, values.shape[1]))
    step = max(1, _DRAWS_AT_A_TIME // images)
    for first in range(0, resamples, step):
        drawn = rng.integers(images, size=(min(step, resamples - first), images))
        times = np.stack([np.bincount(row, minlength=images) for row in drawn])
        sums[first : first + step] = times @ values
    return sums


def estimate(
    figure: Callable[[DoubleArray], DoubleArray], statistics: npt.ArrayLike, resampled: DoubleArray
) -> Estimate:
    """A figure over all images, and its interval.

    Args:
        figure: makes it of sums ``[..., figures]``, whatever the leading axes are; it may be NaN where a resample
            holds nothing to make it of, and such resamples do not count.
        statistics: what was summed, ``[images, figures]``.
        resampled: of `resampled_sums`.
    """
    tail = (1 - CONFIDENCE) / 2
    with np.errstate(invalid="ignore"):  # 0 / 0
        values = figure(resampled)
    low, high = np.quantile(values[~np.isnan(values)], (tail, 1 - tail))
    return Estimate(float(figure(np.asarray(statistics, np.float64).sum(axis=0))), float(low), float(high))
