"""Changes to finished graphs: names, feeding one from another, and taking the memory of a stateful one away."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import openvino as ov

_COUNTED = re.compile(r"[A-Z][A-Za-z0-9]*_\d+")
"""How a name begins that OpenVINO made: it counts all operations that the process ever made, on all its threads."""


def name_operations(model: ov.Model) -> None:
    """Replace the names that OpenVINO made for operations by ones of the graph alone: ``vision/Softmax.31``.

    Whatever is derived from them, such as the names of quantizers and the order in which NNCF takes its steps, is then
    the same in every process.
    """
    _rename(model, f"{model.get_friendly_name()}/", ".")


def number_operations(model: ov.Model) -> None:
    """Count the operations that OpenVINO named since `name_operations` within their graph: ``Convert_0``.

    A name goes on to others (the halves of a constant that was compressed, ``Constant_7/scale``): they stay related.
    """
    _rename(model, "", "_")


def _rename(model: ov.Model, prefix: str, separator: str) -> None:
    renamed: dict[str, str] = {}
    for node in model.get_ordered_ops():
        name = node.get_friendly_name()
        if counted := _COUNTED.match(name):
            kind = counted[0].rpartition("_")[0]
            new = renamed.setdefault(counted[0], f"{prefix}{kind}{separator}{len(renamed)}")
            node.set_friendly_name(new + name[counted.end() :])


def inputs_by_name(parameters: Iterable[ov.Node]) -> dict[str, ov.Output]:
    """What parameters give to a graph."""
    return {parameter.output(0).get_any_name(): parameter.output(0) for parameter in parameters}


def outputs_by_name(model: ov.Model) -> dict[str, ov.Output]:
    """What a graph's outputs are made of."""
    return {result.output(0).get_any_name(): result.input_value(0) for result in model.get_results()}


def readers(node: ov.Node) -> list[ov.Node]:
    """The nodes that read a node's first output, once for each input that does."""
    return [port.get_node() for port in node.output(0).get_target_inputs()]


def replace_value(old: ov.Output, new: ov.Output) -> None:
    """Let everything that reads a value read another instead."""
    for port in old.get_target_inputs():
        port.replace_source_output(new)


def feed(model: ov.Model, sources: Mapping[str, ov.Output]) -> list[ov.Node]:
    """Let a graph read outputs of other nodes instead of its inputs of these names, in place.

    Returns:
        The parameters that it still has. They go into the `ov.Model` that is made of its results.
    """
    left = []
    for parameter in model.get_parameters():
        source = sources.get(parameter.output(0).get_any_name())
        if source is None:
            left.append(parameter)
            continue
        replace_value(parameter.output(0), source)
    return left


def joined(writer: ov.Model, reader: ov.Model) -> ov.Model:
    """Two graphs as one, so that nothing is copied between them. Both are used up."""
    given = [*writer.get_parameters(), *feed(reader, outputs_by_name(writer))]
    return ov.Model(reader.get_results(), reader.get_sinks(), given, reader.get_friendly_name())


def without_state(model: ov.Model) -> ov.Model:
    """The first step of a stateful graph: what it remembers is what it starts from. The graph is used up."""
    for node in model.get_ops():
        if node.get_type_name() == "ReadValue":
            replace_value(node.output(0), node.input_value(0))
    return ov.Model(model.get_results(), model.get_parameters(), model.get_friendly_name())
