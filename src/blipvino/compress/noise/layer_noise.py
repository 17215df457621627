"""The noise that one operation of a compressed graph makes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from blipvino.metrics.sqnr import Fidelity

_LAYER = re.compile(r"^[\w.]+\.encoder\.layers?\.(\d+)[./](.+)$")
_PREFIX = re.compile(r"^(vision_model|text_encoder|text_decoder\.bert|text_decoder)\.")


@dataclass(frozen=True)
class LayerNoise:
    """One operation that compression touches.

    Attributes:
        graph: its graph.
        node: its friendly name in the float graph, as NNCF's ignored scope takes it.
        introduced: the error that it makes by itself, when it reads the float graph's values.
    """

    graph: str
    node: str
    introduced: Fidelity

    @property
    def noise_to_signal(self) -> float:
        """Power of the introduced noise over power of the operation's output."""
        return self.introduced.noise_to_signal

    @property
    def layer(self) -> int | None:
        """The number of its transformer layer, from 0 as in the checkpoint; None before and behind the layers."""
        found = _LAYER.match(self.node)
        return int(found[1]) if found else None

    @property
    def part(self) -> str:
        """What it is within its layer, as the checkpoint names it: ``mlp.fc2``, ``self_attn/scores``."""
        found = _LAYER.match(self.node)
        name = found[2] if found else _PREFIX.sub("", self.node)
        return name.removesuffix("/matmul").removesuffix("/gather")

    @property
    def label(self) -> str:
        """For people: ``vision, layer 3, mlp.fc2``."""
        place = [] if self.layer is None else [f"layer {self.layer}"]
        return ", ".join([self.graph, *place, self.part])
