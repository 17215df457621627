"""The main job: a checkpoint in, a verified bundle out."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openvino as ov

from blipvino.bundle.bundle import Bundle, open_bundle
from blipvino.bundle.golden import GOLDEN_FILE
from blipvino.bundle.manifest import SourceInfo
from blipvino.bundle.writing import BundleDetails, check_target, write_bundle
from blipvino.checkpoint.tensors import Checkpoint, load_checkpoint
from blipvino.compress.calibration import CalibrationSet, prepare_calibration
from blipvino.compress.compressor import Compressor
from blipvino.compress.storage import save_graph
from blipvino.data import DEFAULT_SAMPLES, DEFAULT_SEED, Sample, SampleSource, count_items, open_source, take
from blipvino.demo import resolve
from blipvino.errors import InputError
from blipvino.graphs import graph_names
from blipvino.graphs.handover import hand_over_in_8_bits
from blipvino.optimization.card import write_card
from blipvino.optimization.golden_samples import golden_pictures, golden_samples, with_expectations
from blipvino.optimization.preprocessing import Processors, write_preprocessing
from blipvino.optimization.search.options import SearchOptions
from blipvino.optimization.search.search import find_judges, search_recipe
from blipvino.optimization.search.workshop import Materials
from blipvino.progress import Reporter
from blipvino.recipe import AUTO, DEFAULT_RECIPE, TO_BE_FOUND, Recipe, find_recipe

_TRIED_AT_ONCE = 4
"""How many times a bundle's bytes a search needs on disk, about."""


@dataclass(frozen=True)
class CalibrationOptions:
    """Which samples quantization sees.

    Attributes:
        source: as `blipvino.data.open_source` takes it.
        samples: (image, question) pairs, or images of a source without questions.
        seed: of the shuffle.
    """

    source: str = "demo"
    samples: int = DEFAULT_SAMPLES
    seed: int = DEFAULT_SEED


def optimize(  # noqa: PLR0913  # whoever calls it names what differs from the defaults
    source: str | Path,
    output: str | Path,
    *,
    recipe: str | Recipe = DEFAULT_RECIPE,
    calibration: CalibrationOptions | None = None,
    search: SearchOptions | None = None,
    overwrite: bool = False,
    revision: str | None = None,
    token: str | None = None,
    show_progress: bool = True,
) -> Bundle:
    """Build a checkpoint's graphs, compress them by a recipe, and write the bundle, whole or not at all.

    Args:
        source: a folder with a Hugging Face BLIP checkpoint, a hub id, or ``demo`` for the embedded checkpoint.
        output: the bundle's folder.
        recipe: a recipe, or its name in `blipvino.recipe.RECIPES`, or "auto": the fastest that a search finds
            within a limit of accuracy. Ctrl-C ends the search, and its best so far is written.
        calibration: the samples that quantization sees; the demo world's by default.
        search: of the recipe "auto": the limit, the samples that recipes are judged by, and how much is measured.
        overwrite: replace an existing bundle.
        revision: branch, tag or commit on the hub.
        token: access token for the hub; its own settings by default.
        show_progress: show progress bars on standard error.

    Raises:
        BlipvinoError: anything about the checkpoint, the samples, the recipe or the output that cannot be used.
    """
    chosen = find_recipe(recipe) if isinstance(recipe, str) else recipe
    automatic = chosen == TO_BE_FOUND
    if search is not None and not automatic:
        raise InputError(f"recipe {chosen.name!r} is not searched for; choose {AUTO!r}, or leave the search out")
    check_target(output, overwrite)
    reporter = Reporter(show_progress, brief=automatic)
    reporter.say(f"Recipe {chosen.describe()}")
    reporter.say(f"Reading {source}")
    opened = load_checkpoint(resolve(source), revision=revision, token=token, show_progress=show_progress)
    with opened as checkpoint:
        names = graph_names(checkpoint.config.architecture)
        check_target(output, overwrite, bytes_needed=(_TRIED_AT_ONCE if automatic else 1) * _bytes_needed(checkpoint))
        details = BundleDetails(
            SourceInfo(_recorded_name(source), checkpoint.revision, checkpoint.sha256),
            checkpoint.config.architecture,
            chosen.to_json(),
        )
        with write_bundle(output, details, overwrite=overwrite) as folder:
            processors = write_preprocessing(checkpoint, folder)
            needs_samples = automatic or chosen.needs_calibration
            seen = _calibrate(processors, calibration or CalibrationOptions(), reporter) if needs_samples else None
            compressor = Compressor(checkpoint, seen.inputs if seen else None, reporter)
            details.calibration = seen.record if seen else None
            details.measurements = {"fp16_bytes": compressor.fp16_bytes}
            if automatic:
                assert seen is not None
                judges = find_judges(search or SearchOptions(), seen.source, seen.samples)
                materials = Materials(checkpoint, compressor.compress, seen.inputs, folder)
                chosen, record = search_recipe(materials, judges, search or SearchOptions(), reporter)
                details.recipe = chosen.to_json()
                details.measurements["search"] = record
            else:
                _write_graphs(compressor, chosen, names, folder, reporter)
                details.measurements["seconds"] = compressor.seconds
            _write_golden(checkpoint, processors, folder, seen, reporter)
            write_card(details, folder, checkpoint.folder)
    return open_bundle(output)


def _recorded_name(source: str | Path) -> str:
    """What the manifest calls the source: a folder by its whole path, so that it is found from anywhere."""
    return str(Path(source).resolve()) if Path(source).is_dir() else str(source)


def _write_graphs(
    compressor: Compressor, recipe: Recipe, names: Sequence[str], folder: Path, reporter: Reporter
) -> None:
    done: dict[str, ov.Model] = {}
    for name in names:
        reporter.say(f"{name}: {recipe.treatments[name]}")
        done[name] = compressor.compress(name, recipe.treatments[name])
        if name == "question_kv":
            continue  # what it hands over is not settled until its reader is quantized
        if name == "question":
            hand_over_in_8_bits(done["question_kv"], done["question"])
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
    record: dict[str, Any]


def _calibrate(processors: Processors, options: CalibrationOptions, reporter: Reporter) -> _Calibration:
    source = open_source(options.source)
    # Of many images one question each: the tutorial's shuffle scatters them too, and vision sees more images so.
    samples = take(source, options.samples, options.seed, spread=True)
    inputs = prepare_calibration(samples, processors.images, processors.texts, reporter)
    if count_items(samples) < options.samples:
        reporter.say(
            f"Only {count_items(samples)} of {options.samples} calibration samples are there: ranges that fit so few "
            "may not fit what is to come; calibrate on more"
        )
    record = {"source": source.name, "samples": count_items(samples), "images": len(samples), "seed": options.seed}
    return _Calibration(source, samples, inputs, record)


def _bytes_needed(checkpoint: Checkpoint) -> int:
    """An upper bound of the bundle's size: every tensor in half precision."""
    return sum(2 * checkpoint.tensor(name).size for name in checkpoint.names())
