"""What there is to know about each graph, one table: whoever asks for a graph by its name reads it here.

A new graph is a builder, an entry in `GRAPHS`, and its name in an architecture
(`blipvino.checkpoint.architectures.ARCHITECTURES`); ``docs/contributing.md`` goes through it step by step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import openvino as ov

from blipvino.checkpoint.architectures import ARCHITECTURES
from blipvino.checkpoint.tensors import Checkpoint
from blipvino.errors import CheckpointError
from blipvino.graphs.answer import answer_graph, answer_kv_graph
from blipvino.graphs.embedding import image_embedding_graph, text_embedding_graph
from blipvino.graphs.match import match_graph, match_kv_graph
from blipvino.graphs.question import question_graph, question_kv_graph
from blipvino.graphs.vision import vision_graph
from blipvino.recipe import FP16, PTQ_INT8, WEIGHTS_INT8, Treatment

GraphBuilder = Callable[[Checkpoint], ov.Model]
Reads = Literal["pixels", "image_embeds", "questions", "source_states", "texts"]
"""What a graph is run on for each sample, in calibration, diagnosis and the self-test:

- "pixels": the image;
- "image_embeds": what `vision` makes of it;
- "questions": each question about it, or caption of it, and keys and values of its image embeddings;
- "source_states": what a text is about: image embeddings, and question states where the model answers questions;
- "texts": the float model's own text over each source, step by step, and keys and values of the source.
"""
Ports = Mapping[str, tuple[str, ...]]
"""Inputs by name, without a layer's number, and the fields of `Sizes` that their open dimensions are, in order."""
Options = Mapping[str, Any]
"""Options of a `Treatment`."""

_CHOSEN_ON_TEXTS: tuple[Options, ...] = ({"scale_estimation": True}, {"gptq": True}, {"gptq": True, "awq": True})
_CHOSEN_ON_IMAGES: tuple[Options, ...] = ({"scale_estimation": True}, {"scale_estimation": True, "awq": True})
_CROSS_KV: Ports = {"cross_key": ("sources", "positions"), "cross_value": ("sources", "positions")}
_TEXTS: Ports = {"input_ids": ("rows", "tokens"), "attention_mask": ("rows", "tokens")}
_PROJECTED = frozenset(_CROSS_KV)


@dataclass(frozen=True)
class GraphSpec:
    """The facts about one graph.

    Attributes:
        name: of the graph, its files and its entry in a recipe.
        build: makes it from a checkpoint, in float32.
        does: what for and how often, for people.
        group: which of the tutorial's three models it is a part of: "vision", "text encoder" or "text decoder".
        reads: what it is run on.
        inputs: its inputs, and what their open dimensions are.
        outputs: its outputs, without a layer's number.
        default: what the recipe "int8" does to it, and where a search begins.
        int4_methods: ways to choose 4-bit weights on data that a search may offer, cheapest first.
        keys_from: the graph that makes the keys and values that it reads; None where it reads none.
        keys_in_8_bits: whether these cross over as 8-bit integers once both graphs are quantized.
        has_state: whether it keeps a state from step to step, which calibration of activations cannot follow.
        long_rows: whether 8-bit weights meet rows so long that one scale for a row of activations is faster than
            OpenVINO's default, one for 32.
    """

    name: str
    build: GraphBuilder
    does: str
    group: str
    reads: Reads
    inputs: Ports
    outputs: frozenset[str]
    default: Treatment
    int4_methods: tuple[Options, ...] = _CHOSEN_ON_IMAGES
    keys_from: str | None = None
    keys_in_8_bits: bool = False
    has_state: bool = False
    long_rows: bool = False

    @property
    def projects(self) -> bool:
        """Whether what it makes are keys and values for another graph."""
        return self.outputs == _PROJECTED

    @property
    def makes_image_embeds(self) -> bool:
        """Whether it is the vision model."""
        return "image_embeds" in self.outputs

    @property
    def makes_question_states(self) -> bool:
        """Whether it is the question encoder."""
        return "question_states" in self.outputs

    @property
    def makes_texts(self) -> bool:
        """Whether it is a step of the decoder."""
        return "logits" in self.outputs


GRAPHS: dict[str, GraphSpec] = {
    spec.name: spec
    for spec in (
        GraphSpec(
            "vision",
            vision_graph,
            does="looks at an image: what it sees, patch by patch; once an image",
            group="vision",
            reads="pixels",
            inputs={"pixels": ("sources",)},
            outputs=frozenset({"image_embeds"}),
            default=PTQ_INT8,
        ),
        GraphSpec(
            "question_kv",
            question_kv_graph,
            does="keys and values of the image, which reading a question attends to; once an image",
            group="text encoder",
            reads="image_embeds",
            inputs={"image_embeds": ("sources", "positions")},
            outputs=_PROJECTED,
            default=PTQ_INT8,
        ),
        GraphSpec(
            "question",
            question_graph,
            does="reads a question about the image; once a question",
            group="text encoder",
            reads="questions",
            inputs={**_TEXTS, **_CROSS_KV},
            outputs=frozenset({"question_states"}),
            default=PTQ_INT8,
            int4_methods=_CHOSEN_ON_TEXTS,  # GPTQ keeps all that layers read, which is little of texts
            keys_from="question_kv",
            keys_in_8_bits=True,
        ),
        GraphSpec(
            "image_embedding",
            image_embedding_graph,
            does="one vector of an image, which is compared with those of texts; once an image",
            group="vision",
            reads="image_embeds",
            inputs={"image_embeds": ("sources", "positions")},
            outputs=frozenset({"image_embedding"}),
            default=FP16,  # one small layer on one token: there is nothing to save that an error would be worth
        ),
        GraphSpec(
            "text_embedding",
            text_embedding_graph,
            does="one vector of a text, which is compared with those of images; once a text",
            group="text encoder",
            reads="questions",
            inputs=_TEXTS,
            outputs=frozenset({"text_embedding"}),
            default=WEIGHTS_INT8,  # rounding activations moves near texts past one another
            int4_methods=_CHOSEN_ON_TEXTS,
        ),
        GraphSpec(
            "match_kv",
            match_kv_graph,
            does="keys and values of the image, which matching attends to; once an image",
            group="text encoder",
            reads="image_embeds",
            inputs={"image_embeds": ("sources", "positions")},
            outputs=_PROJECTED,
            default=PTQ_INT8,
        ),
        GraphSpec(
            "match",
            match_graph,
            does="tells whether a text fits an image; once a pair of them",
            group="text encoder",
            reads="questions",
            inputs={**_TEXTS, **_CROSS_KV},
            outputs=frozenset({"match_logits", "match_state"}),
            default=WEIGHTS_INT8,  # as above: claims that are true turn false
            int4_methods=_CHOSEN_ON_TEXTS,
            keys_from="match_kv",
            keys_in_8_bits=True,
        ),
        GraphSpec(
            "answer_kv",
            answer_kv_graph,
            does="keys and values of what a text is about, which writing it attends to; once a text",
            group="text decoder",
            reads="source_states",
            inputs={"source_states": ("sources", "positions")},
            outputs=_PROJECTED,
            default=PTQ_INT8,
            long_rows=True,
        ),
        GraphSpec(
            "answer",
            answer_graph,
            does="writes an answer or a caption; once a token, that is a word or a piece of one",
            group="text decoder",
            reads="texts",
            inputs={
                "input_ids": ("rows", "tokens"),
                "position_ids": ("rows", "tokens"),
                "beam_idx": ("rows",),
                "source_mask": ("sources", "positions"),
                **_CROSS_KV,
            },
            outputs=frozenset({"logits", "top_ids", "top_logits", "log_normalizer"}),
            default=WEIGHTS_INT8,
            int4_methods=_CHOSEN_ON_TEXTS,
            keys_from="answer_kv",
            has_state=True,
        ),
    )
}
"""By name. A new graph is a further entry."""


def graph_names(architecture: str, source: str | None = None) -> tuple[str, ...]:
    """The graphs that a checkpoint of this class is made of, in the order in which they run.

    Args:
        architecture: the class.
        source: the checkpoint, for messages.

    Raises:
        CheckpointError: the class has none.
    """
    known = ARCHITECTURES.get(architecture)
    if known is None or not known.graphs:
        supported = " or ".join(each.name for each in ARCHITECTURES.values() if each.graphs)
        named = "" if source is None else f"{source}: "
        raise CheckpointError(f"{named}{architecture} checkpoints cannot be optimized; expected {supported}")
    return known.graphs


def specs_of(architecture: str) -> tuple[GraphSpec, ...]:
    """The facts about a checkpoint's graphs, in the order in which they run.

    Raises:
        CheckpointError: as `graph_names`.
    """
    return tuple(GRAPHS[name] for name in graph_names(architecture))


def reads_texts(architecture: str) -> bool:
    """Whether a checkpoint's graphs read texts about images: questions, or captions.

    Raises:
        CheckpointError: as `graph_names`.
    """
    return any(spec.reads == "questions" for spec in specs_of(architecture))


def groups(architecture: str) -> dict[str, tuple[str, ...]]:
    """Those of the tutorial's three models that a checkpoint's graphs are parts of, each with its graphs.

    Raises:
        CheckpointError: as `graph_names`.
    """
    specs = specs_of(architecture)
    names = dict.fromkeys(spec.group for spec in specs)
    return {group: tuple(spec.name for spec in specs if spec.group == group) for group in names}


def handing_over(names: Sequence[str]) -> dict[str, str]:
    """Of these graphs, those that read keys and values in 8 bits, and the graph that hands them over to it alone."""
    pairs = {name: GRAPHS[name].keys_from for name in names if GRAPHS[name].keys_from in names}
    writers = list(pairs.values())
    # What several read keeps crossing in float: each would have scales of its own.
    return {
        name: writer
        for name, writer in pairs.items()
        if writer is not None and GRAPHS[name].keys_in_8_bits and writers.count(writer) == 1
    }
