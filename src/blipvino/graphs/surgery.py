"""Changes to finished graphs: feeding one from another, and taking the memory of a stateful one away."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import openvino as ov


def inputs_by_name(parameters: Iterable[ov.Node]) -> dict[str, ov.Output]:
    """What parameters give to a graph."""
    return {parameter.output(0).get_any_name(): parameter.output(0) for parameter in parameters}


def outputs_by_name(model: ov.Model) -> dict[str, ov.Output]:
    """What a graph's outputs are made of."""
    return {result.output(0).get_any_name(): result.input_value(0) for result in model.get_results()}


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
        for port in parameter.output(0).get_target_inputs():
            port.replace_source_output(source)
    return left


def joined(writer: ov.Model, reader: ov.Model) -> ov.Model:
    """Two graphs as one, so that nothing is copied between them. Both are used up."""
    given = [*writer.get_parameters(), *feed(reader, outputs_by_name(writer))]
    return ov.Model(reader.get_results(), reader.get_sinks(), given, reader.get_friendly_name())


def without_state(model: ov.Model) -> ov.Model:
    """The first step of a stateful graph: what it remembers is what it starts from. The graph is used up."""
    for node in model.get_ops():
        if node.get_type_name() == "ReadValue":
            for port in node.output(0).get_target_inputs():
                port.replace_source_output(node.input_value(0))
    return ov.Model(model.get_results(), model.get_parameters(), model.get_friendly_name())
