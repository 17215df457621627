"""INT8 post-training quantization of one graph, weights and activations, with NNCF."""

from __future__ import annotations

from collections.abc import Iterable, Sized
from typing import Protocol

import nncf
import openvino as ov

from blipvino.compress.calibration import Inputs
from blipvino.errors import CompressionError


class CalibrationInputs(Sized, Iterable[Inputs], Protocol):
    """Inputs of one graph that can be walked more than once."""


def quantize_int8(model: ov.Model, inputs: CalibrationInputs) -> ov.Model:
    """Quantize with NNCF's transformer scheme: SmoothQuant, then min-max ranges, then fast bias correction.

    Args:
        model: the float graph.
        inputs: calibration inputs of this graph; all of them are used.

    Raises:
        CompressionError: NNCF could not quantize this graph.
    """
    try:
        return nncf.quantize(
            model,
            nncf.Dataset(inputs),
            model_type=nncf.ModelType.TRANSFORMER,
            subset_size=len(inputs),
            fast_bias_correction=True,
        )
    except (nncf.ValidationError, nncf.InternalError, nncf.UnsupportedModelError) as error:
        raise CompressionError(f"{model.get_friendly_name()}: NNCF cannot quantize this graph ({error})") from error
