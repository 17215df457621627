"""The dimensions that graphs leave open, and what they are set to when a graph is compiled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import openvino as ov

ANY = -1
"""A dimension that stays open when a graph is compiled."""


@dataclass(frozen=True)
class Sizes:
    """The dimensions that the graphs leave open: ``B`` sources, ``S`` positions, ``R`` text rows, ``T`` tokens."""

    sources: int = ANY
    positions: int = ANY
    rows: int = ANY
    tokens: int = ANY


OPEN_DIMENSIONS: Mapping[str, tuple[str, ...]] = {
    "pixels": ("sources",),
    "image_embeds": ("sources", "positions"),
    "source_states": ("sources", "positions"),
    "source_mask": ("sources", "positions"),
    "cross_key": ("sources", "positions"),
    "cross_value": ("sources", "positions"),
    "input_ids": ("rows", "tokens"),
    "position_ids": ("rows", "tokens"),
    "attention_mask": ("rows", "tokens"),
    "beam_idx": ("rows",),
}
"""What the open dimensions of each input are, in their order."""


def filled(port: Any, sizes: Sizes) -> ov.PartialShape:
    """A port's shape with its open dimensions set to these sizes."""
    names = iter(OPEN_DIMENSIONS[port.get_any_name().split(".")[0]])
    values = asdict(sizes)
    return ov.PartialShape([values[next(names)] if dim.is_dynamic else dim for dim in port.get_partial_shape()])
