"""How sure a model may say it is: from the probability of a text to the probability that it is right.

A model's own probabilities are not those of being right: it may be too sure, or spread its probability over texts that
mean the same. Temperature scaling (Guo et al., "On Calibration of Modern Neural Networks", 2017) divides logits by a
number that is fitted on labelled samples. A text's probability has one logit, that of the whole sequence, and what is
fitted to it is Platt's logistic regression (Platt, "Probabilistic Outputs for Support Vector Machines", 1999): a
temperature, and an offset, without which a half would always stay a half. Weak priors (Gelman et al., "A Weakly
Informative Default Prior Distribution for Logistic and Other Regression Models", 2008) keep both finite where the
samples hold no error, or nothing else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from blipvino.arrays import DoubleArray

SUREST = 1e-7
"""A text is taken to be no likelier than 1 minus this, where float32 ends."""
LEAST_LIKELY = -700.0
"""Nor less likely than this, in nats, where float64 ends."""
_SLOPE, _SLOPE_SPREAD = 1.0, 1.0
"""Mean and standard deviation of the slope's prior: the model's own probabilities, within a factor of a few."""
_OFFSET_SPREAD = 2.5
_LEAST_SLOPE = 0.01
"""However little a text's probability says, the likelier text is never the less sure one."""
_STEPS, _SETTLED = 100, 1e-10


@dataclass(frozen=True)
class ConfidenceScale:
    """What turns the probability of a text into that of its being right.

    Attributes:
        temperature: by which the logit of the text's probability is divided; above 1 where the model is too sure.
        offset: that is then added.
    """

    temperature: float
    offset: float

    def __post_init__(self) -> None:
        """Check that both are numbers, and that sure stays sure.

        Raises:
            ValueError: they are not.
        """
        if not (0 < self.temperature < math.inf and math.isfinite(self.offset)):
            raise ValueError(f"temperature {self.temperature} and offset {self.offset} scale no confidence")

    def confidence(self, logprob: float) -> float:
        """The probability that a text is right, of the logarithm of its own."""
        return float(_logistic(sequence_logit(logprob) / self.temperature + self.offset))


def sequence_logit(logprobs: npt.ArrayLike) -> DoubleArray:
    """``log(p / (1 - p))`` of texts with these logarithms of ``p``, in whatever shape."""
    kept = np.clip(np.asarray(logprobs, np.float64), LEAST_LIKELY, math.log1p(-SUREST))
    return kept - np.log(-np.expm1(kept))


def fit_scale(logprobs: npt.ArrayLike, right: npt.ArrayLike) -> ConfidenceScale:
    """The likeliest scale, given priors, of labelled samples.

    Args:
        logprobs: of texts, ``[N]``.
        right: how right each is, from 0 to 1, ``[N]``: VQA accuracy, or 0 and 1.
    """
    logits, targets = sequence_logit(logprobs), np.asarray(right, np.float64)
    slope, offset = _newton(logits, targets, _SLOPE, free_slope=True)
    if slope < _LEAST_SLOPE:
        slope, offset = _newton(logits, targets, _LEAST_SLOPE, free_slope=False)
    return ConfidenceScale(1 / slope, offset)


def _newton(logits: DoubleArray, targets: DoubleArray, slope: float, *, free_slope: bool) -> tuple[float, float]:
    """Slope and offset of least loss, which is convex: Newton's steps, each halved until the loss falls."""
    features = np.stack([logits, np.ones_like(logits)], axis=1)
    precision = np.diag([_SLOPE_SPREAD**-2, _OFFSET_SPREAD**-2])
    center, free = np.array([_SLOPE, 0.0]), [0, 1] if free_slope else [1]

    def loss(at: DoubleArray) -> float:
        raw = features @ at
        prior = (at - center) @ precision @ (at - center) / 2
        return float(np.sum(np.logaddexp(0, raw) - targets * raw) + prior)

    at = np.array([slope, 0.0])
    for _ in range(_STEPS):
        sure = _logistic(features @ at)
        gradient = features.T @ (sure - targets) + precision @ (at - center)
        curvature = (features * (sure * (1 - sure))[:, None]).T @ features + precision
        step = np.zeros(2)
        step[free] = np.linalg.solve(curvature[np.ix_(free, free)], gradient[free])
        before = loss(at)
        while loss(at - step) > before and np.abs(step).max() > _SETTLED:
            step /= 2
        at = at - step
        if np.abs(step).max() <= _SETTLED:
            break
    return float(at[0]), float(at[1])


def _logistic(raw: npt.ArrayLike) -> DoubleArray:
    """``1 / (1 + exp(-raw))``, without overflow."""
    return 0.5 * (1 + np.tanh(np.asarray(raw, np.float64) / 2))
