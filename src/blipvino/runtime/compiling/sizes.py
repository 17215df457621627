"""The dimensions that graphs leave open, and what they are set to when a graph is compiled."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import openvino as ov

from blipvino.graphs.specs import GRAPHS

ANY = -1
"""A dimension that stays open when a graph is compiled."""


@dataclass(frozen=True)
class Sizes:
    """The dimensions that the graphs leave open: ``B`` sources, ``S`` positions, ``R`` text rows, ``T`` tokens."""

    sources: int = ANY
    positions: int = ANY
    rows: int = ANY
    tokens: int = ANY


def reshaped(model: ov.Model, name: str, sizes: Sizes) -> None:
    """Set the open dimensions of a graph to these sizes.

    Args:
        model: the graph, changed in place.
        name: which one it is, of `blipvino.graphs.specs.GRAPHS`.
        sizes: of its open dimensions.
    """
    values = asdict(sizes)
    shapes = {}
    for port in model.inputs:
        fields = iter(GRAPHS[name].inputs[port.get_any_name().split(".")[0]])
        shape = [values[next(fields)] if dim.is_dynamic else dim for dim in port.get_partial_shape()]
        shapes[port.get_any_name()] = ov.PartialShape(shape)
    model.reshape(shapes)
