"""BLIP's OpenVINO graphs, built with opset from a checkpoint's tensors: the cuts of the design, one module each."""

from __future__ import annotations

from collections.abc import Callable

import openvino as ov

from blipvino.checkpoint.config import CAPTIONING, QUESTION_ANSWERING
from blipvino.checkpoint.tensors import Checkpoint
from blipvino.errors import CheckpointError
from blipvino.graphs.answer import answer_graph, answer_kv_graph
from blipvino.graphs.question import question_graph, question_kv_graph
from blipvino.graphs.surgery import name_operations
from blipvino.graphs.text import cross_port
from blipvino.graphs.vision import vision_graph

GraphBuilder = Callable[[Checkpoint], ov.Model]

BUILDERS: dict[str, GraphBuilder] = {
    "vision": vision_graph,
    "question_kv": question_kv_graph,
    "question": question_graph,
    "answer_kv": answer_kv_graph,
    "answer": answer_graph,
}
GROUPS: dict[str, tuple[str, ...]] = {
    "vision": ("vision",),
    "text encoder": ("question_kv", "question"),
    "text decoder": ("answer_kv", "answer"),
}
"""The tutorial's three models, and the graphs that each of them is here."""

_GRAPHS = {
    QUESTION_ANSWERING: tuple(BUILDERS),
    CAPTIONING: ("vision", "answer_kv", "answer"),
}


def graph_names(architecture: str) -> tuple[str, ...]:
    """The graphs that a checkpoint of this class is made of.

    Raises:
        CheckpointError: the class has no generating decoder.
    """
    if architecture not in _GRAPHS:
        supported = " or ".join(_GRAPHS)
        raise CheckpointError(f"{architecture} checkpoints cannot be optimized; expected {supported}")
    return _GRAPHS[architecture]


def build_graph(checkpoint: Checkpoint, name: str) -> ov.Model:
    """Build one graph in float32. Its operations are named alike in every process.

    Raises:
        CheckpointError: a tensor is missing or has another shape than ``config.json`` says.
    """
    model = BUILDERS[name](checkpoint)
    name_operations(model)
    return model


__all__ = ["BUILDERS", "GROUPS", "build_graph", "cross_port", "graph_names"]
