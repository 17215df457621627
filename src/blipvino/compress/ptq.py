"""INT8 post-training quantization of one graph, weights and activations, with NNCF."""

from __future__ import annotations

from collections.abc import Sequence

import nncf
import openvino as ov
from nncf.quantization.algorithms.post_training.pipeline import create_ptq_pipeline
from openvino._offline_transformations import compress_quantize_weights_transformation

from blipvino.compress.calibration import Inputs
from blipvino.compress.statistics import Keep, record
from blipvino.errors import CompressionError
from blipvino.progress import Reporter


def quantize_int8(
    model: ov.Model,
    inputs: Sequence[Inputs],
    reporter: Reporter,
    *,
    writer: ov.Model | None = None,
    keep: Keep | None = None,
) -> ov.Model:
    """Quantize with NNCF's transformer scheme: SmoothQuant, then min-max ranges, then fast bias correction.

    The result is that of `nncf.quantize`, but for rounding. Its steps are run one by one here, because a single pass
    over the samples answers all of them (see `blipvino.compress.statistics`) where `nncf.quantize` makes one for each.

    Args:
        model: the float graph.
        inputs: calibration inputs of this graph; all of them are used.
        reporter: shows how far the pass is.
        writer: a float graph whose outputs are inputs of this one, by name; ``inputs`` has the writer's instead.
        keep: receives the number of each sample and the float graph's output for it.

    Raises:
        CompressionError: NNCF could not quantize this graph.
    """
    name = model.get_friendly_name()
    options = nncf.AdvancedQuantizationParameters(inplace_statistics=False)  # collectors reduce what `answer` gives
    try:
        pipeline = create_ptq_pipeline(
            model_type=nncf.ModelType.TRANSFORMER, subset_size=len(inputs), advanced_parameters=options
        )
        steps = range(len(pipeline.pipeline_steps))
        graph = nncf.build_graph(model)
        asked = [pipeline.get_statistic_points_for_step(step, model, graph) for step in steps]
        samples = reporter.track(inputs, f"Calibrating {name}", len(inputs))
        recording = record(model, asked, samples, writer=writer, keep=keep)
        for step in steps:
            graph = nncf.build_graph(model)
            points = pipeline.get_statistic_points_for_step(step, model, graph)
            recording.answer(points, model)
            model = pipeline.run_step(step, points, model, graph)
    except (nncf.ValidationError, nncf.InternalError, nncf.UnsupportedModelError) as error:
        raise CompressionError(f"{name}: NNCF cannot quantize this graph ({error})") from error
    compress_quantize_weights_transformation(model)  # weights as integers; `nncf.quantize` ends with it too
    return model
