"""How far a compressed tensor is from the original: signal-to-quantization-noise ratio, and cosine similarity.

With the original's elements ``x`` and the compressed one's ``y``, all over a tensor and over all samples:

- noise-to-signal ratio: ``sum((y - x)**2) / sum(x**2)``;
- SQNR in decibels: ``-10 log10`` of it (Widrow and Kollár, "Quantization Noise", 2008; Lin, Talathi and Annapureddy,
  "Fixed Point Quantization of Deep Convolutional Networks", 2016, section 3, which finds the noise of layers to add
  up at the output). A bit less costs 6 dB;
- cosine: ``sum(x * y) / sqrt(sum(x**2) * sum(y**2))``, which an error of scale leaves at 1.

A tensor with a few very large channels has the power of these: the noise of the others hardly shows in its SQNR.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Fidelity:
    """The four sums that tell how well a compressed tensor follows the original. Fidelities of samples add up.

    Attributes:
        signal: of squares of the original.
        noise: of squares of the difference.
        compressed: of squares of the compressed.
        product: of products of the two.
    """

    signal: float = 0.0
    noise: float = 0.0
    compressed: float = 0.0
    product: float = 0.0

    @classmethod
    def of(cls, original: npt.ArrayLike, compressed: npt.ArrayLike) -> Self:
        """Of two arrays of one shape."""
        x, y = (np.asarray(each, np.float64).ravel() for each in (original, compressed))
        return cls(float(x @ x), float((y - x) @ (y - x)), float(y @ y), float(x @ y))

    def __add__(self, other: Fidelity) -> Fidelity:
        return Fidelity(
            self.signal + other.signal,
            self.noise + other.noise,
            self.compressed + other.compressed,
            self.product + other.product,
        )

    @property
    def noise_to_signal(self) -> float:
        """Power of the noise over power of the signal: 0 where there is no noise, infinite where there is no signal."""
        if self.noise == 0:
            return 0.0
        return self.noise / self.signal if self.signal else math.inf

    @property
    def sqnr(self) -> float:
        """In decibels; infinite where there is no noise."""
        ratio = self.noise_to_signal
        return math.inf if ratio == 0 else -10 * math.log10(ratio) if ratio < math.inf else -math.inf

    @property
    def cosine(self) -> float:
        """From -1 to 1; 1 of two zero tensors, 0 where only one is zero."""
        if not (self.signal and self.compressed):
            return float(self.signal == self.compressed)
        return max(-1.0, min(1.0, self.product / math.sqrt(self.signal * self.compressed)))

    def to_json(self) -> dict[str, Any]:
        """The sums, and what they say; JSON has no infinity, so an infinite SQNR is null."""
        sqnr = self.sqnr if math.isfinite(self.sqnr) else None
        return {"sqnr_db": sqnr, "cosine": self.cosine, **asdict(self)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`."""
        return cls(**{name: float(content[name]) for name in cls.__dataclass_fields__})
