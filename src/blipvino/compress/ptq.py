"""INT8 post-training quantization of one graph, weights and activations, with NNCF."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import nncf
import openvino as ov
from nncf.quantization.advanced_parameters import OverflowFix, QuantizationParameters
from nncf.quantization.algorithms.post_training.pipeline import create_ptq_pipeline
from nncf.quantization.range_estimator import RangeEstimatorParameters, RangeEstimatorParametersSet
from openvino._offline_transformations import compress_quantize_weights_transformation

from blipvino.compress.calibration import Inputs
from blipvino.compress.floats import dataset, run_float
from blipvino.compress.statistics import Keep, record
from blipvino.errors import CompressionError
from blipvino.progress import Reporter
from blipvino.recipe import PTQ_INT8, Treatment

_RANGES: Mapping[str, RangeEstimatorParameters] = {
    "mean_minmax": RangeEstimatorParameters(),  # NNCF's default, which treats weights otherwise
    "minmax": RangeEstimatorParametersSet.MINMAX,
    "median_minmax": RangeEstimatorParametersSet.MEDIAN_MINMAX,
    "quantile": RangeEstimatorParametersSet.MEAN_QUANTILE,
    "histogram": RangeEstimatorParametersSet.HISTOGRAM,
}
_FROM_VALUES = ("quantile", "histogram")
"""Ranges that need all values of a tensor, and not its extremes alone."""


def quantize_int8(
    model: ov.Model,
    inputs: Sequence[Inputs],
    reporter: Reporter,
    *,
    treatment: Treatment = PTQ_INT8,
    writer: ov.Model | None = None,
    keep: Keep | None = None,
) -> ov.Model:
    """Quantize with NNCF's transformer scheme: SmoothQuant, then ranges of activations, then bias correction.

    The result is that of `nncf.quantize`, but for rounding. Where the options allow it, its steps are run one by one
    here, because a single pass over the samples answers all of them (see `blipvino.compress.statistics`) where
    `nncf.quantize` makes one for each.

    Args:
        model: the float graph.
        inputs: calibration inputs of this graph; all of them are used.
        reporter: shows how far the pass is.
        treatment: the options.
        writer: a float graph whose outputs are inputs of this one, by name; ``inputs`` has the writer's instead.
        keep: receives the number of each sample and the float graph's output for it.

    Raises:
        CompressionError: NNCF could not quantize this graph.
    """
    name = model.get_friendly_name()
    options = {"model_type": nncf.ModelType.TRANSFORMER, "subset_size": len(inputs), **_options(treatment)}
    try:
        if treatment.activation_range in _FROM_VALUES or treatment.bias_correction == "full":
            if keep is not None:
                run_float(model, inputs, lambda sample, request: keep(sample, request.get_output_tensor(0).data))
            return nncf.quantize(model, dataset(inputs, writer), **options)
        return _quantize_in_one_pass(model, inputs, reporter, options, writer, keep)
    except (nncf.ValidationError, nncf.InternalError, nncf.UnsupportedModelError) as error:
        raise CompressionError(f"{name}: NNCF cannot quantize this graph ({error})") from error


def _options(treatment: Treatment) -> dict[str, Any]:
    """A treatment in the words of `nncf.quantize`."""
    alpha = treatment.smooth_quant_alpha
    smoothing = nncf.AdvancedSmoothQuantParameters(**({} if alpha is None else {"matmul": alpha}))
    weights = None if treatment.per_channel else QuantizationParameters(per_channel=False)
    return {
        "preset": nncf.QuantizationPreset(treatment.preset),
        "fast_bias_correction": treatment.bias_correction != "full",
        "ignored_scope": nncf.IgnoredScope(names=list(treatment.ignored)),
        "advanced_parameters": nncf.AdvancedQuantizationParameters(
            disable_bias_correction=treatment.bias_correction == "none",
            smooth_quant_alphas=smoothing,
            activations_range_estimator_params=_RANGES[treatment.activation_range],
            weights_quantization_params=weights,
            # NNCF's default, FIRST_LAYER, is of convolutions, which no graph has.
            overflow_fix=OverflowFix.ENABLE if treatment.overflow_fix else OverflowFix.DISABLE,
        ),
    }


def _quantize_in_one_pass(
    model: ov.Model,
    inputs: Sequence[Inputs],
    reporter: Reporter,
    options: dict[str, Any],
    writer: ov.Model | None,
    keep: Keep | None,
) -> ov.Model:
    options["advanced_parameters"].inplace_statistics = False  # collectors reduce what `Recording.answer` gives
    pipeline = create_ptq_pipeline(**options)
    steps = range(len(pipeline.pipeline_steps))
    graph = nncf.build_graph(model)
    asked = [pipeline.get_statistic_points_for_step(step, model, graph) for step in steps]
    samples = reporter.track(inputs, f"Calibrating {model.get_friendly_name()}", len(inputs))
    recording = record(model, asked, samples, writer=writer, keep=keep)
    for step in steps:
        graph = nncf.build_graph(model)
        points = pipeline.get_statistic_points_for_step(step, model, graph)
        recording.answer(points, model)
        model = pipeline.run_step(step, points, model, graph)
    compress_quantize_weights_transformation(model)  # weights as integers; `nncf.quantize` ends with it too
    return model
