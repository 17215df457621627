"""The main job: a checkpoint in, a verified bundle out."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import openvino as ov

from blipvino.bundle.bundle import Bundle, open_bundle
from blipvino.bundle.golden import GOLDEN_FILE
from blipvino.bundle.manifest import SourceInfo
from blipvino.bundle.records import CalibrationRecord, Measurements
from blipvino.bundle.writing import BundleDetails, check_target, write_bundle
from blipvino.checkpoint.architectures import answers_questions
from blipvino.checkpoint.tensors import Checkpoint, load_checkpoint
from blipvino.checks import shown
from blipvino.compress.calibration import CalibrationSet, prepare_calibration
from blipvino.compress.compressor import Compressor
from blipvino.compress.storage import save_graph
from blipvino.data import DEFAULT_SEED, Sample, SampleSource, count_items, take
from blipvino.data.caption_texts import read_by
from blipvino.demo import NAMES as EMBEDDED
from blipvino.demo import resolve
from blipvino.errors import InputError
from blipvino.graphs.handover import hand_over_in_8_bits
from blipvino.graphs.recipes import AUTO, DEFAULT_RECIPE, RECIPE_NAMES, check_recipe, find_recipe
from blipvino.graphs.specs import graph_names, handing_over
from blipvino.graphs.terms import terms_of
from blipvino.optimization.calibrate_confidence import calibrate_confidence
from blipvino.optimization.calibration_source import CalibrationOptions, calibration_source
from blipvino.optimization.card import write_card
from blipvino.optimization.golden_samples import golden_pictures, golden_samples, with_expectations
from blipvino.optimization.preprocessing import Processors, write_preprocessing
from blipvino.optimization.search.options import Search
from blipvino.optimization.search.search import search_recipe, take_validation_samples
from blipvino.optimization.search.trial_runner import Materials
from blipvino.progress import Reporter
from blipvino.recipe import Recipe

__all__ = ["CalibrationOptions", "Search", "optimize"]

DEMO_DATA, DEMO_TEXTS, DEMO_SEED = "demo:validation", 300, DEFAULT_SEED + 1
"""What the confidence of a bundle of the demo is fitted on: questions, of as many images, which are captioned; not in
calibration's order.
"""
_TRIED_AT_ONCE = 4
"""How many times a bundle's bytes a search needs on disk, about."""


def optimize(  # noqa: PLR0913  # keywords, but for the two that every call gives
    source: str | Path,
    output: str | Path,
    *,
    recipe: str | Recipe | Search = DEFAULT_RECIPE,
    calibration: CalibrationOptions | None = None,
    overwrite: bool = False,
    revision: str | None = None,
    token: str | None = None,
    fit_confidence: bool = True,
    show_progress: bool = True,
) -> Bundle:
    """Build a checkpoint's graphs, compress them by a recipe, and write the bundle, whole or not at all.

    Args:
        source: a folder with a Hugging Face BLIP checkpoint, a hub id, or ``demo`` for the embedded checkpoint.
        output: the bundle's folder.
        recipe: a recipe, or the name of one (`blipvino.graphs.recipes`); or `Search`, which "auto" is with its
            defaults: the fastest that a search finds within a limit of accuracy. Ctrl-C ends the search, and its best
            so far is written.
        calibration: the samples that quantization sees; by default the demo world's for the demo, and for any other
            checkpoint generated pictures with the statistics of photographs.
        overwrite: replace an existing bundle.
        revision: branch, tag or commit on the hub.
        token: access token for the hub; its own settings by default.
        fit_confidence: fit how sure the bundle may say it is, if it is one of ``demo``, whose answers are known; that
            of any other is fitted by `calibrate_confidence`.
        show_progress: show progress bars on standard error.

    Raises:
        BlipvinoError: anything about the checkpoint, the samples, the recipe or the output that cannot be used.
    """
    plan = _plan(recipe)
    searching = isinstance(plan, Search)
    check_target(output, overwrite)
    reporter = Reporter(show_progress, brief=searching)
    reporter.say(f"Recipe {f'{plan.name}: {plan.summary}' if isinstance(plan, Recipe) else plan.describe()}")
    reporter.say(f"Reading {source}")
    opened = load_checkpoint(resolve(source), revision=revision, token=token, show_progress=show_progress)
    with opened as checkpoint:
        names = graph_names(checkpoint.config.architecture, str(source))
        if isinstance(plan, Recipe):
            check_recipe(plan, names)
        elif checkpoint.config.retrieves:
            raise InputError(
                f"{source}: a search compares captions and answers, and {checkpoint.config.architecture} makes none; "
                f"choose one of the recipes {', '.join(RECIPE_NAMES)}"
            )
        check_target(output, overwrite, bytes_needed=(_TRIED_AT_ONCE if searching else 1) * _bytes_needed(checkpoint))
        details = BundleDetails(
            SourceInfo(_recorded_name(source), checkpoint.revision, checkpoint.sha256),
            checkpoint.config.architecture,
            plan if isinstance(plan, Recipe) else Recipe(AUTO, "", {}),
        )
        fits = fit_confidence and _is_demo(source) and answers_questions(checkpoint.config.architecture)
        finish = partial(_fit_to_demo, show_progress=show_progress) if fits else None
        with write_bundle(output, details, overwrite=overwrite, finish=finish) as folder:
            _fill(folder, details, checkpoint, plan, calibration or CalibrationOptions(), reporter)
    return open_bundle(output)


def _fill(
    folder: Path,
    details: BundleDetails,
    checkpoint: Checkpoint,
    plan: Recipe | Search,
    calibration: CalibrationOptions,
    reporter: Reporter,
) -> None:
    """Put everything that a bundle holds into its folder, and what there is to say of it into its details."""
    processors = write_preprocessing(checkpoint, folder)
    needs_samples = isinstance(plan, Search) or plan.needs_calibration
    seen = _calibrate(checkpoint, processors, calibration, reporter) if needs_samples else None
    compressor = Compressor(checkpoint, seen.inputs if seen else None, reporter)
    details.calibration = seen.record if seen else None
    if isinstance(plan, Search):
        assert seen is not None
        validation = take_validation_samples(plan, seen.source, seen.samples)
        materials = Materials(checkpoint, compressor.compress, seen.inputs, folder)
        details.recipe, record = search_recipe(materials, validation, plan, reporter)
        details.measurements = Measurements(compressor.fp16_bytes, search=record)
    else:
        _write_graphs(compressor, plan, folder, reporter)
        details.measurements = Measurements(compressor.fp16_bytes, compressor.seconds)
    _write_golden(checkpoint, processors, folder, seen, reporter)
    write_card(details, folder, checkpoint.folder)


def _is_demo(source: str | Path) -> bool:
    """Whether an embedded checkpoint is meant, and no folder that is called as one."""
    return str(source) in EMBEDDED and resolve(source) != source


def _fit_to_demo(folder: Path, show_progress: bool) -> None:
    calibrate_confidence(folder, DEMO_DATA, samples=DEMO_TEXTS, seed=DEMO_SEED, show_progress=show_progress)


def _plan(recipe: str | Recipe | Search) -> Recipe | Search:
    """What is asked for: a recipe, or the search for one."""
    if isinstance(recipe, str):
        return Search() if recipe == AUTO else find_recipe(recipe)
    if not isinstance(recipe, Recipe | Search):
        raise InputError(f"recipe is {shown(recipe)}, expected a name, a Recipe or a Search")
    return recipe


def _recorded_name(source: str | Path) -> str:
    """What the manifest calls the source: a folder by its whole path, so that it is found from anywhere."""
    is_folder = resolve(source) == source and Path(source).is_dir()
    return str(Path(source).resolve()) if is_folder else str(source)


def _write_graphs(compressor: Compressor, recipe: Recipe, folder: Path, reporter: Reporter) -> None:
    names = graph_names(compressor.architecture)
    readers, done = handing_over(names), dict[str, ov.Model]()
    for word, told in terms_of({name: recipe.treatments[name] for name in names}).rows:
        reporter.say(f"  {word}: {told}")
    for name in names:
        reporter.say(f"{name}: {recipe.treatments[name]}")
        done[name] = compressor.compress(name, recipe.treatments[name])
        if name in readers.values():
            continue  # what it hands over is not settled until its reader is quantized
        if name in readers:
            hand_over_in_8_bits(done[readers[name]], done[name])
        for finished, model in done.items():
            save_graph(model, folder / f"{finished}.xml")
        done.clear()
        gc.collect()  # a float graph and NNCF's copies of it take gigabytes; free them before the next


def _write_golden(
    checkpoint: Checkpoint, processors: Processors, folder: Path, seen: _Calibration | None, reporter: Reporter
) -> None:
    """Put the samples of the bundle's self-test beside its graphs."""
    reporter.say("Golden samples for the self-test")
    pictures = golden_pictures(seen.source.name, seen.samples) if seen else golden_pictures(None, ())
    golden = golden_samples(checkpoint, processors, pictures)
    with_expectations(golden, folder, checkpoint.config).save(folder / GOLDEN_FILE)


@dataclass(frozen=True)
class _Calibration:
    """What compression sees: the samples and their source, what the graphs make of them, and what the manifest says."""

    source: SampleSource
    samples: Sequence[Sample]
    inputs: CalibrationSet
    record: CalibrationRecord


def _calibrate(
    checkpoint: Checkpoint, processors: Processors, options: CalibrationOptions, reporter: Reporter
) -> _Calibration:
    source = read_by(checkpoint.config.architecture, calibration_source(options, checkpoint, reporter))
    # Of many images one question each: the tutorial's shuffle scatters them too, and vision sees more images so.
    samples = take(source, options.samples, options.seed, spread=True)
    inputs = prepare_calibration(samples, processors.images, processors.texts, reporter)
    if count_items(samples) < options.samples:
        reporter.say(
            f"Only {count_items(samples)} of {options.samples} calibration samples are there: ranges that fit so few "
            "may not fit what is to come; calibrate on more"
        )
    record = CalibrationRecord(source.name, count_items(samples), len(samples), options.seed)
    return _Calibration(source, samples, inputs, record)


def _bytes_needed(checkpoint: Checkpoint) -> int:
    """An upper bound of the bundle's size: every tensor in half precision."""
    return sum(2 * checkpoint.tensor(name).size for name in checkpoint.names())
