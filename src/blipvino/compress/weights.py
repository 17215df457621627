"""Weight-only compression of one graph, without data, with NNCF."""

from __future__ import annotations

import nncf
import openvino as ov

from blipvino.errors import CompressionError


def compress_weights_int8(model: ov.Model) -> ov.Model:
    """8-bit asymmetric weights, one scale a row (NNCF's default, as the tutorial's)."""
    return _compress(model, mode=nncf.CompressWeightsMode.INT8_ASYM)


def compress_weights_int4(model: ov.Model, group_size: int) -> ov.Model:
    """4-bit symmetric weights in groups of ``group_size``; embeddings and the output projection stay at 8 bits.

    Raises:
        CompressionError: a layer's width is not a multiple of ``group_size``.
    """
    return _compress(model, mode=nncf.CompressWeightsMode.INT4_SYM, group_size=group_size, ratio=1.0)


def _compress(model: ov.Model, **options: object) -> ov.Model:
    try:
        return nncf.compress_weights(model, **options)
    except (nncf.ValidationError, nncf.InternalError, nncf.UnsupportedModelError, nncf.InvalidGroupSizeError) as error:
        raise CompressionError(f"{model.get_friendly_name()}: NNCF cannot compress these weights ({error})") from error
