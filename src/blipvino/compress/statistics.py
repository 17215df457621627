"""One pass over the samples that answers all that NNCF's quantization asks about activations.

`nncf.quantize` runs the samples twice: SmoothQuant asks for each channel's largest value, and then, of the graph that
it has smoothed, quantizers ask for ranges and bias correction for means. But smoothing only divides each channel by a
constant, so ranges and means of the smoothed graph follow from those of the float graph's channels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import nncf
import numpy as np
import openvino as ov
import openvino.opset13 as ops
from nncf.common.graph.transformations.commands import TargetType
from nncf.common.tensor_statistics.collectors import (
    MeanPerChReducer,
    OfflineAggregatorBase,
    ShapeReducer,
    TensorCollector,
)
from nncf.common.tensor_statistics.statistic_point import StatisticPointsContainer
from nncf.tensor import Tensor

from blipvino.arrays import FloatArray
from blipvino.compress.calibration import Inputs
from blipvino.compress.floats import run_float
from blipvino.graphs.surgery import joined

Keep = Callable[[int, FloatArray], None]
"""Takes a sample's number and the graph's output for it."""
Port = tuple[str, int]
"""An output of a node, named alike in a graph, its clone and it smoothed: the node's friendly name, its index."""


@dataclass(frozen=True)
class Recording:
    """What the samples' activations in the float graph were like.

    Attributes:
        extremes: of every tensor that is asked about, each sample's minimum and maximum ``[samples, 2, C]``: of each
            channel (the last axis) where a layer with weights reads it, else of the whole tensor (``C`` is 1).
        means: of the former's channels, over all samples, ``[C]``.
    """

    extremes: Mapping[Port, FloatArray]
    means: Mapping[Port, FloatArray]

    def answer(self, points: StatisticPointsContainer, model: ov.Model) -> None:
        """Fill what a step of NNCF's asks of a graph: the float one, or that one smoothed.

        Raises:
            nncf.InternalError: a tensor is asked about that was not recorded.
        """
        for output, collector in _asked(points, model):
            if output.get_node().get_type_name() == "Constant":
                collector.register_input_for_all_reducers(Tensor(output.get_node().data))
            elif _is_mean(collector):
                # Bias correction repeats the mean input in every position of this shape; where any will do, in one.
                mean = self._mean(output)
                shape = np.array([d.get_length() if d.is_static else 1 for d in output.get_partial_shape()])
                answers = {r: shape if isinstance(r, ShapeReducer) else mean for r in collector.reducers}
                collector.register_inputs({hash(reducer): [Tensor(value)] for reducer, value in answers.items()})
            else:
                rank, samples = len(output.get_partial_shape()), self._extremes(output)
                if not _asks_samples(collector):
                    samples = np.stack([samples[:, 0].min(axis=0), samples[:, 1].max(axis=0)])[np.newaxis]
                for extremes in samples:
                    # NNCF finds in these two positions the minima and maxima that it would find in all of them.
                    collector.register_input_for_all_reducers(Tensor(extremes.reshape([1] * (rank - 2) + [2, -1])))

    def _extremes(self, output: ov.Output) -> FloatArray:
        if _port(output) in self.extremes:
            return self.extremes[_port(output)]
        source, scale = _smoothing(output)
        return self._extremes(source) * scale

    def _mean(self, output: ov.Output) -> FloatArray:
        if _port(output) in self.means:
            return self.means[_port(output)]
        node = output.get_node()
        if node.get_type_name() == "MatMul":  # is linear: its mean output needs no more than its mean input
            weight = node.input_value(1).get_node().data
            return self._mean(node.input_value(0)) @ (weight.T if node.get_attributes()["transpose_b"] else weight)
        source, scale = _smoothing(output)
        return self._mean(source) * scale


def record(
    model: ov.Model,
    points: Sequence[StatisticPointsContainer],
    inputs: Iterable[Inputs],
    *,
    writer: ov.Model | None = None,
    keep: Keep | None = None,
) -> Recording:
    """Run the float graph once over the samples, several at a time.

    Args:
        model: the float graph.
        points: what NNCF's steps ask of it.
        inputs: of the graph, one sample after the other.
        writer: a float graph whose outputs are inputs of this one, by name; ``inputs`` has the writer's instead.
        keep: receives the graph's output for each sample. Without it only what is asked about is computed.
    """
    asked = [each for step in points for each in _asked(step, model)]
    channels = _ports(output for output, collector in asked if _asks_channels(output, collector))
    ranges = (output for output, collector in asked if not _is_mean(collector))
    activations = (output for output in ranges if output.get_node().get_type_name() != "Constant")
    wholes = [port for port in _ports(activations) if port not in channels]
    recorder, sizes = _recorder(model, channels, wholes, keep is not None)
    if writer is not None:
        recorder = joined(writer.clone(), recorder)
    rows = np.stack(_run(recorder, inputs, keep))
    parts = dict(zip([*channels, *wholes], np.split(rows, np.cumsum(sizes)[:-1], axis=1), strict=True))
    parts = {port: part.reshape(len(rows), 3 if port in channels else 2, -1) for port, part in parts.items()}
    return Recording(
        extremes={port: part[:, :2] for port, part in parts.items()},
        means={port: parts[port][:, 2].mean(axis=0) for port in channels},
    )


def _recorder(
    model: ov.Model, channels: Sequence[Port], wholes: Sequence[Port], keeps: bool
) -> tuple[ov.Model, list[int]]:
    """The graph with one more output, ``recorded``: all reductions in a row, and how long each tensor's are."""
    clone = model.clone()
    nodes = {node.get_friendly_name(): node for node in clone.get_ops()}
    parts = []
    for name, index in channels:
        output = nodes[name].output(index)
        axes = np.arange(len(output.get_partial_shape()) - 1)
        parts.append([reduce(output, axes) for reduce in (ops.reduce_min, ops.reduce_max, ops.reduce_mean)])
    for name, index in wholes:
        flat = ops.reshape(nodes[name].output(index), np.array([-1]), False)
        parts.append([reduce(flat, np.array([0]), True) for reduce in (ops.reduce_min, ops.reduce_max)])
    recorded = ops.result(ops.concat([node for part in parts for node in part], 0))
    recorded.output(0).set_names({"recorded"})
    sizes = [sum(node.get_output_partial_shape(0)[0].get_length() for node in part) for part in parts]
    return ov.Model([*(clone.get_results() if keeps else []), recorded], clone.get_parameters(), "recorder"), sizes


def _run(recorder: ov.Model, inputs: Iterable[Inputs], keep: Keep | None) -> list[FloatArray]:
    rows: dict[int, FloatArray] = {}

    def finished(sample: int, request: ov.InferRequest) -> None:
        rows[sample] = np.array(request.get_tensor("recorded").data)
        if keep is not None:
            keep(sample, request.get_output_tensor(0).data)

    run_float(recorder, inputs, finished)
    return [rows[sample] for sample in sorted(rows)]


def _asked(points: StatisticPointsContainer, model: ov.Model) -> Iterator[tuple[ov.Output, TensorCollector]]:
    """Which tensors of the graph are asked about, and what collects the answers."""
    nodes = {node.get_friendly_name(): node for node in model.get_ops()}
    for _, point, collector in points.get_tensor_collectors():
        target = point.target_point
        node = nodes[target.target_node_name]
        after = target.type == TargetType.POST_LAYER_OPERATION
        yield node.output(target.port_id) if after else node.input_value(target.port_id), collector


def _is_mean(collector: TensorCollector) -> bool:
    return any(isinstance(reducer, MeanPerChReducer) for reducer in collector.reducers)


def _asks_samples(collector: TensorCollector) -> bool:
    """Whether a collector wants each sample's extremes, for their mean or median, and not the least and the largest."""
    return any(isinstance(each, OfflineAggregatorBase) for each in collector.aggregators.values())


def _asks_channels(output: ov.Output, collector: TensorCollector) -> bool:
    """Whether a collector is SmoothQuant's, or wants a mean that does not follow from another."""
    if _is_mean(collector):
        return output.get_node().get_type_name() != "MatMul"
    return any(isinstance(reducer, ShapeReducer) for reducer in collector.reducers)


def _port(output: ov.Output) -> Port:
    return output.get_node().get_friendly_name(), output.get_index()


def _ports(outputs: Iterable[ov.Output]) -> list[Port]:
    """The ports of these outputs, each once."""
    return list(dict.fromkeys(_port(output) for output in outputs))


def _smoothing(output: ov.Output) -> tuple[ov.Output, FloatArray]:
    """The tensor that SmoothQuant's new node scales, and the scale of each channel."""
    node = output.get_node()
    if "nncf_smooth_quant" not in node.get_friendly_name():
        raise nncf.InternalError(f"{node.get_friendly_name()} was not recorded")
    return node.input_value(0), node.input_value(1).get_node().data.reshape(-1)
