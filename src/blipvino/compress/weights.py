"""Weight-only compression of one graph with NNCF: activations stay float."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import nncf
import numpy as np
import openvino as ov
import openvino.opset13 as ops

from blipvino.compress.calibration import Inputs
from blipvino.compress.floats import dataset
from blipvino.errors import CompressionError
from blipvino.recipe import Treatment

_MARK = "/activation"


def compress_weights(
    model: ov.Model, treatment: Treatment, inputs: Sequence[Inputs] | None = None, *, writer: ov.Model | None = None
) -> ov.Model:
    """Compress a graph's weights to 8 or 4 bits.

    8 bits have a scale a row; 4 bits one a group of weights, embeddings and the output projection staying at 8.

    Args:
        model: the float graph. Changed in place.
        treatment: of method "weights_int8" or "weights_int4".
        inputs: calibration inputs of the graph, where the treatment needs data. The state of a graph that has some is
            reset before each.
        writer: a float graph whose outputs are inputs of this one, by name; ``inputs`` has the writer's instead.

    Raises:
        CompressionError: NNCF cannot do so; for one, a layer's width is not a multiple of the group size.
    """
    data = None
    if treatment.needs_data:
        assert inputs is not None
        data = dataset(inputs, writer)
    if treatment.awq:
        _mark_gelu(model)
    errors = (nncf.ValidationError, nncf.InternalError, nncf.UnsupportedModelError, nncf.InvalidGroupSizeError)
    try:
        compressed = nncf.compress_weights(model, dataset=data, **_options(treatment, inputs))
    except errors as error:
        reason = str(error).splitlines()[0]  # NNCF goes on to list every layer
        raise CompressionError(f"{model.get_friendly_name()}: NNCF cannot compress these weights ({reason})") from error
    _unmark_gelu(compressed)
    return compressed


def _options(treatment: Treatment, inputs: Sequence[Inputs] | None) -> dict[str, Any]:
    """A treatment in the words of `nncf.compress_weights`."""
    ignored = nncf.IgnoredScope(names=list(treatment.ignored))
    if treatment.method == "weights_int8":
        return {"mode": nncf.CompressWeightsMode(f"int8_{treatment.mode or 'asym'}"), "ignored_scope": ignored}
    return {
        "mode": nncf.CompressWeightsMode(f"int4_{treatment.mode or 'sym'}"),
        "group_size": treatment.group_size,
        "ratio": treatment.ratio,
        "awq": treatment.awq,
        "scale_estimation": treatment.scale_estimation,
        "gptq": treatment.gptq,
        "backup_mode": nncf.BackupMode(treatment.backup),
        "ignored_scope": ignored,
        **({} if inputs is None else {"subset_size": len(inputs)}),
    }


def _mark_gelu(model: ov.Model) -> None:
    """Put a PReLU of slope one, which changes nothing, behind every GELU.

    NNCF's AWQ scales what a linear layer reads from an activation function, and does not know GELU as one.
    """
    for node in model.get_ordered_ops():
        if node.get_type_name() == "Gelu":
            readers = node.output(0).get_target_inputs()
            mark = ops.prelu(node, ops.constant(np.ones(1, np.float32)))
            mark.set_friendly_name(node.get_friendly_name() + _MARK)
            for port in readers:
                port.replace_source_output(mark.output(0))


def _unmark_gelu(model: ov.Model) -> None:
    for node in model.get_ordered_ops():
        if node.get_friendly_name().endswith(_MARK):
            for port in node.output(0).get_target_inputs():
                port.replace_source_output(node.input_value(0))
