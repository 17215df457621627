"""Diagnosing a bundle: its graphs beside those of the checkpoint that it was made from, on samples."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from blipvino.bundle.bundle import Bundle
from blipvino.checkpoint.tensors import Checkpoint, load_checkpoint
from blipvino.compress.calibration import CalibrationImage, prepare_calibration
from blipvino.compress.noise.measure import ANSWER_STEPS, measure
from blipvino.compress.noise.probe import Measured
from blipvino.data import DEFAULT_SEED, Sample, count_items, open_source, take
from blipvino.data.caption_texts import read_by
from blipvino.data.shortfalls import shortfall
from blipvino.demo import resolve
from blipvino.errors import InputError
from blipvino.graphs.handover import handover_scales
from blipvino.graphs.specs import graph_names
from blipvino.machine.core import read_ir
from blipvino.machine.host import ArithmeticOption, Choice
from blipvino.machine.versions import library_versions
from blipvino.measure.diagnosis.as_run import AsRun
from blipvino.measure.diagnosis.diagnosis import Diagnosis, GraphError, LayerError
from blipvino.measure.measured_engine import measured_engine
from blipvino.measure.opened import opened_bundle
from blipvino.metrics.sqnr import Fidelity
from blipvino.optimization.golden_samples import EXACT, BuiltGraph
from blipvino.optimization.original import check_weights
from blipvino.progress import Reporter
from blipvino.recipe import Treatment
from blipvino.runtime.compiling.bundled import graph_files_of, selftest_of
from blipvino.runtime.engine import Engine
from blipvino.runtime.inputs.images import ImageProcessor
from blipvino.runtime.inputs.texts import TextProcessor


@dataclass(frozen=True)
class DiagnoseOptions:
    """Which samples are run.

    Attributes:
        samples: (image, question) pairs, or images of a source without questions; as many images as there are.
        seed: of the shuffle.
        arithmetic: of what is quantized, as it runs here; if one is asked for, graphs that fall short of their
            self-test are run all the same.

    Raises:
        InputError: a number is too small.
    """

    samples: int = 20
    seed: int = DEFAULT_SEED
    arithmetic: ArithmeticOption = "auto"

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name, least in (("samples", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise InputError(f"{name} is {getattr(self, name)}, expected at least {least}")


def diagnose_bundle(
    bundle: str | Path | Bundle,
    data: str,
    options: DiagnoseOptions | None = None,
    *,
    original: str | Path | None = None,
    show_progress: bool = True,
) -> Diagnosis:
    """Measure where a bundle's error comes from.

    Layers and graphs are computed in float32 and without 8-bit kernels, which is what their numbers say; then both
    models run as they do on this host.

    Args:
        bundle: a compressed bundle's folder, or the bundle opened (and so verified) already.
        data: samples, as `open_source` takes them.
        options: how many.
        original: the checkpoint that the bundle was made from, where the one that its manifest names is elsewhere.
        show_progress: on standard error.

    Raises:
        BundleError: the bundle is damaged, or was made from other weights.
        CompressionError: its graphs are not those of this version.
        InputError: nothing is compressed in it.
        BlipvinoError: the checkpoint or the samples cannot be used.
    """
    options, reporter, opened = options or DiagnoseOptions(), Reporter(show_progress), opened_bundle(bundle)
    treatments = compressed_graphs(opened)
    if not treatments:
        raise InputError(f"{opened.folder}: nothing in it is compressed, so there is no error to find; give another")
    recorded = opened.manifest.source
    place, revision = (recorded.name, recorded.revision) if original is None else (original, None)
    source = read_by(opened.manifest.architecture, open_source(data))
    with load_checkpoint(resolve(place), revision=revision, show_progress=show_progress) as checkpoint:
        check_weights(opened, str(place), checkpoint.sha256)
        samples = take(source, options.samples, options.seed, spread=True)
        reporter.remark(shortfall(source.name, ("samples", count_items(samples), options.samples)))
        images = _prepared(samples, checkpoint, opened, reporter)
        names = [name for name in graph_names(checkpoint.config.architecture) if name in treatments]
        models = {name: read_ir(opened.path(f"{name}.xml")) for name in names}
        graphs = tuple(
            _graph_error(name, treatments[name], measured)
            for name, measured in measure(checkpoint, models, images, reporter, chain=True)
        )
        errors, choice = _as_run(opened, checkpoint, images, options.arithmetic, reporter)
    return Diagnosis(
        bundle=str(opened.folder),
        fingerprint=opened.fingerprint,
        original=str(place),
        recipe=opened.label,
        data=f"{source.name}, {count_items(samples)} samples, seed {options.seed}",
        graphs=tuple(replace(graph, as_run=errors.get(graph.graph)) for graph in graphs),
        libraries=library_versions(),
        arithmetic=choice.arithmetic,
        reason=choice.reason,
    )


def compressed_graphs(bundle: Bundle) -> dict[str, Treatment]:
    """What was done to each of a bundle's graphs that is compressed."""
    treated = bundle.manifest.recipe.treatments.items()
    return {name: each for name, each in treated if bundle.has(f"{name}.xml") and each.method != "fp16"}


def _prepared(
    samples: list[Sample], checkpoint: Checkpoint, bundle: Bundle, reporter: Reporter
) -> list[CalibrationImage]:
    images = ImageProcessor(checkpoint.preprocessor_config)
    texts = TextProcessor.from_file(bundle.path("tokenizer.json"), checkpoint.config.text)
    return list(prepare_calibration(samples, images, texts, reporter).images)


def _as_run(
    bundle: Bundle,
    checkpoint: Checkpoint,
    images: list[CalibrationImage],
    arithmetic: ArithmeticOption,
    reporter: Reporter,
) -> tuple[dict[str, Fidelity], Choice]:
    """The error of every graph as it runs here, and the arithmetic that it runs in."""
    config = checkpoint.config
    names = graph_names(config.architecture)
    original = Engine({name: BuiltGraph(checkpoint, name) for name in names}, config, EXACT)
    chosen = measured_engine(arithmetic=arithmetic)
    engine = Engine(graph_files_of(bundle, names, check=False), config, chosen, selftest_of(bundle, config))
    scales = handover_scales(bundle.folder, names)
    return AsRun(original, engine, config, scales, ANSWER_STEPS).measure(images, reporter), engine.arithmetic


def _graph_error(name: str, treatment: Treatment, measured: Measured) -> GraphError:
    assert measured.accumulated is not None  # measured with the chain
    assert measured.alone is not None
    assert measured.chained is not None
    rows = zip(measured.operations, measured.introduced, measured.accumulated, strict=True)
    layers = [LayerError(name, operation.node, introduced, error) for operation, introduced, error in rows]
    return GraphError(name, str(treatment), measured.alone, measured.chained, _in_order(layers))


def _in_order(layers: list[LayerError]) -> tuple[LayerError, ...]:
    """By layer: OpenVINO's own order is any in which all can be computed, such as the last layer's keys first."""
    numbers, numbered = [layer.layer for layer in layers], False
    for place, number in enumerate(numbers):
        numbered = numbered or number is not None
        if number is None:
            numbers[place] = len(layers) if numbered else -1
    order = sorted(range(len(layers)), key=lambda place: numbers[place] or 0)
    return tuple(layers[place] for place in order)
