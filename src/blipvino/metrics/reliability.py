"""Whether texts are as often right as their confidence says, and what leaving the least sure ones out buys.

- Expected calibration error (Naeini et al., "Obtaining Well Calibrated Probabilities Using Bayesian Binning", 2015):
  texts are put into bins by their confidence; the error is the mean over texts of how far their bin's mean confidence
  is from the share that is right. `BINS` bins of equal mass (Nguyen and O'Connor, "Posterior calibration and
  exploratory analysis for natural language processing models", 2015): of equal width, all texts of a good model
  would be in the last one.
- Risk and coverage (Geifman and El-Yaniv, "Selective Classification for Deep Neural Networks", 2017): the accuracy of
  the surest texts, by the share of texts that they are. The area under the curve of their errors (Geifman et al.,
  "Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers", 2019) is the mean error over all shares.

Texts of the same confidence are never told apart: they are in one bin, and at a border each of them counts in part.
Figures are functions of sums over images, so that `blipvino.metrics.bootstrap` can sum over others; bins and borders
are those of all images.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from blipvino.arrays import DoubleArray, IntArray

BINS = 15
COVERAGES = (1.0, 0.95, 0.9, 0.8, 0.5)
_COUNT, _SURE, _RIGHT = range(3)


def bins_of(confidences: npt.ArrayLike) -> IntArray:
    """The bin of each text ``[N]``, below `BINS`; some are empty where many texts are equally sure."""
    values = np.asarray(confidences, np.float64)
    borders = np.quantile(values, np.arange(1, BINS) / BINS)
    return np.searchsorted(borders, values, side="right")


def bin_statistics(confidences: npt.ArrayLike, right: npt.ArrayLike) -> DoubleArray:
    """What `calibration_error` is made of, a row a text: ``[N, 3 * BINS]``."""
    sure, scores = np.asarray(confidences, np.float64), np.asarray(right, np.float64)
    rows = np.zeros((len(sure), BINS, 3))
    rows[np.arange(len(sure)), bins_of(sure)] = np.stack([np.ones_like(sure), sure, scores], axis=1)
    return rows.reshape(len(sure), -1)


def calibration_error(sums: DoubleArray) -> DoubleArray:
    """Expected calibration error, from 0 to 1, of sums of statistics ``[..., 3 * BINS]``."""
    parts = sums.reshape(*sums.shape[:-1], BINS, 3)
    return np.abs(parts[..., _SURE] - parts[..., _RIGHT]).sum(axis=-1) / parts[..., _COUNT].sum(axis=-1)


def kept_weights(confidences: npt.ArrayLike, coverage: float) -> DoubleArray:
    """How much each text ``[N]`` counts where so large a share of them, the surest, is kept."""
    values = np.asarray(confidences, np.float64)
    wanted = coverage * len(values)
    border = border_of(values, coverage)
    surer, equal = values > border, values == border
    return surer + equal * ((wanted - surer.sum()) / equal.sum())


def border_of(confidences: npt.ArrayLike, coverage: float) -> float:
    """The confidence of the least sure text among the surest so large a share of them."""
    falling = np.sort(np.asarray(confidences, np.float64))[::-1]
    return float(falling[max(1, int(np.ceil(coverage * len(falling) - 1e-9))) - 1])


def area_under_risk(confidences: npt.ArrayLike, right: npt.ArrayLike) -> float:
    """The mean, over all numbers of texts that may be kept, of the error of the surest so many; from 0 to 1."""
    _, groups, counts = np.unique(-np.asarray(confidences, np.float64), return_inverse=True, return_counts=True)
    errors = np.bincount(groups, 1 - np.asarray(right, np.float64)) / counts
    falling = np.repeat(errors, counts)  # each text with the mean error of those that are as sure
    return float(np.mean(np.cumsum(falling) / np.arange(1, len(falling) + 1)))
