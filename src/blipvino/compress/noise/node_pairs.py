"""Which operation of a compressed graph is which of the float graph, and which of them the compression touches.

NNCF inserts nodes, replaces constants and merges what only moves elements; operations that compute stay as they were
built. So the two graphs are walked side by side from their outputs, from one computing node to the next. Friendly names
alone would not do: a bundle has those of the process that wrote it, wherever a builder leaves them to OpenVINO.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import openvino as ov

from blipvino.errors import CompressionError

SMOOTHING = "nncf_smooth_quant"
"""In the name of every multiplication that SmoothQuant inserts."""
MOVEMENTS = frozenset({"Reshape", "Transpose", "Squeeze", "Unsqueeze"})
"""Operations that only move elements: quantizers stand before or behind them alike."""


@dataclass(frozen=True)
class CompressedOperation:
    """An operation of the float graph that reads quantized values or compressed weights in the compressed one.

    Attributes:
        node: its friendly name in the float graph, which is what NNCF's ignored scope takes.
        twin: its friendly name in the compressed graph.
        point: the node of the float graph behind which its error shows: itself, or the addition of its bias, which
            NNCF corrects.
        twin_point: the same in the compressed graph.
    """

    node: str
    twin: str
    point: str
    twin_point: str


def pair_nodes(original: ov.Model, compressed: ov.Model) -> dict[str, str]:
    """Friendly names of the compressed graph's computing nodes -> those of the same in the float graph.

    Left out are constants, and nodes that only make shapes.

    Raises:
        CompressionError: the graphs differ in more than compression.
    """
    made = {name: result for result in original.get_results() for name in result.output(0).get_names()}
    stack = []
    for result in compressed.get_results():
        name = result.output(0).get_any_name()
        if name not in made:
            raise CompressionError(f"{original.get_friendly_name()}: the compressed graph has another output, {name}")
        stack.append((result.input_value(0), made[name].input_value(0)))
    pairs: dict[str, str] = {}
    while stack:
        twin_output, output = stack.pop()
        twin_output, output = origin(twin_output), origin(output)
        twin, node = twin_output.get_node(), output.get_node()
        if "Constant" in (node.get_type_name(), twin.get_type_name()) or twin.get_friendly_name() in pairs:
            continue
        same = twin.get_type_name() == node.get_type_name() and twin_output.get_index() == output.get_index()
        if not same or twin.get_input_size() != node.get_input_size():
            raise CompressionError(
                f"{original.get_friendly_name()}: {twin.get_friendly_name()} ({twin.get_type_name()}) of the bundle "
                f"graph stands where the original has {node.get_friendly_name()} ({node.get_type_name()}); "
                "was the bundle made from this checkpoint by this version?"
            )
        pairs[twin.get_friendly_name()] = node.get_friendly_name()
        stack += list(zip(twin.input_values(), node.input_values(), strict=True))
    return pairs


def origin(output: ov.Output) -> ov.Output:
    """The computing node's output that a chain of quantizers, smoothing multiplications and movements starts from."""
    while is_inserted(output.get_node()) or is_movement(output.get_node()):
        output = output.get_node().input_value(0)
    return output


def is_inserted(node: ov.Node) -> bool:
    """Whether NNCF put this node on the way of an activation."""
    return node.get_type_name() == "FakeQuantize" or SMOOTHING in node.get_friendly_name()


def is_movement(node: ov.Node) -> bool:
    """Whether a node only moves the elements of its first input."""
    return node.get_type_name() in MOVEMENTS


def compressed_operations(
    original: ov.Model, compressed: ov.Model, pairs: dict[str, str]
) -> Iterator[CompressedOperation]:
    """The operations that compression touches, in the order in which the float graph computes them."""
    twins = {
        pairs[node.get_friendly_name()]: node for node in compressed.get_ops() if node.get_friendly_name() in pairs
    }
    for node in original.get_ordered_ops():
        twin = twins.get(node.get_friendly_name())
        if twin is None or is_movement(twin) or not any(_is_compressed(value) for value in twin.input_values()):
            continue
        point = _bias_addition(twin) or twin
        name, point_name = twin.get_friendly_name(), point.get_friendly_name()
        yield CompressedOperation(node.get_friendly_name(), name, pairs[point_name], point_name)


def _is_compressed(output: ov.Output) -> bool:
    """Whether a value is quantized, or a weight of 8 bits or less."""
    node = output.get_node()
    if node.get_type_name() == "FakeQuantize":
        return True
    if node.get_type_name() == "Constant":
        return False
    if _is_weight(node):
        return any(_is_small(leaf) for leaf in _leaves(node))
    return (is_movement(node) or is_inserted(node)) and _is_compressed(node.input_value(0))


def _is_weight(node: ov.Node) -> bool:
    return all(leaf.get_type_name() == "Constant" for leaf in _leaves(node))


def _leaves(node: ov.Node) -> Iterator[ov.Node]:
    """Where the chain of conversions and scalings that ends in a node begins; whatever else is a leaf as well."""
    if node.get_type_name() in ("Convert", "Multiply", "Subtract", "Reshape"):
        for value in node.input_values():
            yield from _leaves(value.get_node())
    else:
        yield node


def _is_small(constant: ov.Node) -> bool:
    element = constant.get_element_type()
    return element.bitwidth <= 8 and element != ov.Type.boolean


def _bias_addition(node: ov.Node) -> ov.Node | None:
    """The addition of a constant that alone reads a matrix product."""
    readers = [port.get_node() for port in node.output(0).get_target_inputs()]
    if node.get_type_name() != "MatMul" or len(readers) != 1 or readers[0].get_type_name() != "Add":
        return None
    other = [value.get_node() for value in readers[0].input_values() if value.get_node() != node]
    return readers[0] if len(other) == 1 and _is_weight(other[0]) else None
