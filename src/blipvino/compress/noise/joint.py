"""One joint graph that runs a graph and its compressed twin on the same sample, and measures every operation's error.

It holds the float graph and up to three copies of the compressed one:

- *apart*: every compressed operation reads the float graph's values, through its own quantizers and weights, so that
  its error is its own alone;
- *alone*: the compressed graph as it is, on what the float graphs before it make;
- *chained*: the same, on what the compressed graphs before it make, as when a bundle runs.

What is compared is reduced within the joint graph, to the four sums of `Fidelity`: nothing large leaves it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import openvino as ov
import openvino.opset13 as ops

from blipvino.compress.embeddings import look_up_in_float
from blipvino.compress.noise.node_pairs import (
    CompressedOperation,
    compressed_operations,
    is_inserted,
    is_movement,
    origin,
    pair_nodes,
)
from blipvino.graphs.handover import take_back_handover
from blipvino.graphs.surgery import feed, inputs_by_name, outputs_by_name, without_state

Compared = Iterable[tuple[ov.Output, ov.Output]]
"""Outputs of the float graph, each beside the same of a compressed copy."""

CHAINED = "chained."
"""Before the name of an input or output of the chain of compressed graphs."""
SUMS = "sums"
"""The output with four sums for each comparison, float32 ``[comparisons, 4]``."""
STATES = frozenset({"image_embeds", "source_states"})
"""Inputs that an earlier graph makes. Keys and values are made within the joint graph."""
KEPT = frozenset({"image_embeds", "question_states", "top_ids"})
"""Outputs that later graphs, or the next token, need."""
DERIVED = frozenset({"top_ids", "top_logits", "log_normalizer"})
"""Outputs that follow from another one, and are not compared."""


@dataclass(frozen=True)
class Twins:
    """A float graph and its compressed form; None where there is none, and the float graph stands for it."""

    original: ov.Model
    compressed: ov.Model | None


@dataclass(frozen=True)
class Joint:
    """The joint graph, and what its comparisons are.

    Attributes:
        model: its ``sums`` are, in this order: every operation's *apart*; then, where the chain was asked for, every
            operation's *chained*, every output's *alone*, every output's *chained*. Without a compressed graph there
            are none.
        operations: what compression touches, in the order in which the float graph computes them.
        outputs: how many outputs are compared.
    """

    model: ov.Model
    operations: tuple[CompressedOperation, ...]
    outputs: int


def join(twins: Twins, writers: Twins | None, *, chain: bool) -> Joint:
    """Build the joint graph. All models given are used up.

    Args:
        twins: the graph.
        writers: the graphs that make the keys and values that it reads, if it reads any.
        chain: compare *alone* and *chained* too, and not only *apart*.

    Raises:
        CompressionError: the compressed graph was not made of the float graph.
    """
    reader = without_state(twins.original)
    outputs = outputs_by_name(reader)
    names = [name for name in outputs if name not in DERIVED]
    operations: tuple[CompressedOperation, ...] = ()
    compared: list[tuple[ov.Output, ov.Output]] = []
    if twins.compressed is not None:
        compressed = _plain(twins.compressed)
        pairs = pair_nodes(reader, compressed)
        operations = tuple(compressed_operations(reader, compressed, pairs))
        points = _nodes(reader, [operation.point for operation in operations])
        compared += zip(points, _apart(compressed.clone(), reader, operations, pairs), strict=True)
    given, sources = _connect(reader, writers)
    results = _kept(outputs, "")
    if chain and twins.compressed is not None:
        alone = compressed.clone()
        feed(alone, sources)
        chained, own = _chain(compressed, writers, sources)
        given += own
        results += _kept(outputs_by_name(chained), CHAINED)
        twin_points = _nodes(chained, [operation.twin_point for operation in operations])
        compared += zip(points, twin_points, strict=True)
        for copy in (outputs_by_name(alone), outputs_by_name(chained)):
            compared += [(outputs[name], copy[name]) for name in names]
    if compared:
        results.append(_sums(compared))
    return Joint(ov.Model(results, given, reader.get_friendly_name()), operations, len(names))


def _plain(compressed: ov.Model) -> ov.Model:
    """A copy of a compressed graph as NNCF made it, without memory: all its errors are its own."""
    copy = compressed.clone()
    take_back_handover(copy)
    look_up_in_float(copy)
    return without_state(copy)


def _apart(
    copy: ov.Model, reader: ov.Model, operations: Sequence[CompressedOperation], pairs: Mapping[str, str]
) -> list[ov.Output]:
    """Let every operation of a compressed copy read the float graph's values; returns where each error shows."""
    nodes = {node.get_friendly_name(): node for node in reader.get_ops()}
    twins = {node.get_friendly_name(): node for node in copy.get_ops()}
    for operation in operations:
        for port in twins[operation.twin].inputs():
            _redirect(port, origin(nodes[operation.node].input_value(port.get_index())))
    for name, node in twins.items():  # shapes of what the copy need not compute
        if node.get_type_name() == "ShapeOf":
            value = node.input_value(0)
            if (twin := pairs.get(value.get_node().get_friendly_name())) and name not in nodes:
                node.input(0).replace_source_output(nodes[twin].output(value.get_index()))
    return [twins[operation.twin_point].output(0) for operation in operations]


def _redirect(port: ov.Input, source: ov.Output) -> None:
    """Put a float value in front of the quantizers and movements that lead to an input."""
    node = port.get_source_output().get_node()
    if source.get_node().get_type_name() == "Constant":
        return
    if is_inserted(node) or is_movement(node):
        _redirect(node.input(0), source)
    else:
        port.replace_source_output(source)


def _connect(reader: ov.Model, writers: Twins | None) -> tuple[list[ov.Node], dict[str, ov.Output]]:
    """Join the float graphs; returns their parameters, and what the reader's inputs are made of, by name."""
    if writers is None:
        given = list(reader.get_parameters())
        return given, inputs_by_name(given)
    made = outputs_by_name(writers.original)
    given = [*writers.original.get_parameters(), *feed(reader, made)]
    return given, made | inputs_by_name(given)


def _chain(reader: ov.Model, writers: Twins | None, sources: Mapping[str, ov.Output]) -> tuple[ov.Model, list[ov.Node]]:
    """Join the compressed graphs; returns their end and their own inputs, where they do not share the float graph's."""
    given = list(reader.get_parameters())
    if writers is not None:
        writer = writers.original.clone() if writers.compressed is None else _plain(writers.compressed)
        given = [*writer.get_parameters(), *feed(reader, outputs_by_name(writer))]
    own = []
    for parameter in given:
        (name,) = parameter.output(0).get_names()
        if name in STATES:
            parameter.output(0).set_names({CHAINED + name})
            own.append(parameter)
        else:
            for port in parameter.output(0).get_target_inputs():
                port.replace_source_output(sources[name])
    return reader, own


def _nodes(model: ov.Model, names: Sequence[str]) -> list[ov.Output]:
    nodes = {node.get_friendly_name(): node for node in model.get_ops()}
    return [nodes[name].output(0) for name in names]


def _kept(outputs: Mapping[str, ov.Output], prefix: str) -> list[ov.Node]:
    results = []
    for name in sorted(KEPT & outputs.keys()):
        result = ops.result(outputs[name])
        result.output(0).set_names({prefix + name})
        results.append(result)
    return results


def _sums(compared: Compared) -> ov.Node:
    rows = []
    for original, compressed in compared:
        difference = ops.subtract(compressed, original)
        products = ((original, original), (difference, difference), (compressed, compressed), (original, compressed))
        rows.append(ops.concat([_dot(x, y) for x, y in products], 0))
    result = ops.result(ops.reshape(ops.concat(rows, 0), np.array([-1, 4]), False))
    result.output(0).set_names({SUMS})
    return result


def _dot(x: ov.Output | ov.Node, y: ov.Output | ov.Node) -> ov.Node:
    """The sum of all products, ``[1]``; row by row first, which keeps float32 precise over millions of them."""
    rows = ops.reduce_sum(ops.multiply(x, y), np.array([-1]), False)
    return ops.reduce_sum(ops.reshape(rows, np.array([-1]), False), np.array([0]), True)
