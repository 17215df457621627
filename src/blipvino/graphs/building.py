"""Building a graph of a checkpoint."""

from __future__ import annotations

import openvino as ov

from blipvino.checkpoint.tensors import Checkpoint
from blipvino.graphs.specs import GRAPHS
from blipvino.graphs.surgery import name_operations


def build_graph(checkpoint: Checkpoint, name: str) -> ov.Model:
    """Build one graph in float32. Its operations are named alike in every process.

    Args:
        checkpoint: whose tensors it is made of.
        name: one of `blipvino.graphs.specs.GRAPHS`.

    Raises:
        CheckpointError: a tensor is missing or has another shape than ``config.json`` says.
    """
    model = GRAPHS[name].build(checkpoint)
    name_operations(model)
    return model
