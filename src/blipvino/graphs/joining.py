"""Letting rows join the answer decoder at any step: what it remembers of others from before is hidden from them."""

from __future__ import annotations

import numpy as np
import openvino as ov
import openvino.opset13 as ops

from blipvino.graphs import layers as nn
from blipvino.graphs.surgery import inputs_by_name

PAST_START = "past_start"
"""Input, int64 ``[R]``: the first remembered position that a row sees; the row's own positions count from there."""


def let_rows_join(answer: ov.Model) -> None:
    """Give the decoder the input ``past_start``, in place.

    All rows remember equally many positions, of which each has the last ones only: those before are other rows' (of a
    row that had the place, or of whichever row it was said to continue), and hidden by the mask.
    """
    position_ids = inputs_by_name(answer.get_parameters())["position_ids"]
    past_start = nn.parameter([-1], np.int64, PAST_START)
    remembered = ops.add(position_ids, ops.unsqueeze(past_start, nn.integers(1)))
    for port in position_ids.get_target_inputs():
        # The causal mask compares remembered positions; the embeddings go on reading the row's own.
        if port.get_node().get_type_name() in {"ReduceMax", "Unsqueeze"}:
            port.replace_source_output(remembered.output(0))
    (later,) = (node for node in answer.get_ops() if node.get_type_name() == "Greater")
    ports = later.output(0).get_target_inputs()
    earlier = ops.less(later.input_value(0), ops.unsqueeze(past_start, nn.integers(1, 2, 3)))
    hidden = ops.logical_or(later, earlier)
    for port in ports:
        port.replace_source_output(hidden.output(0))
    answer.add_parameters([past_start])
