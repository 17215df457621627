"""``--recipe auto``: a search from its samples to the graphs of its bundle."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from blipvino.bundle.search_record import Found, SearchRecord
from blipvino.data import Sample, SampleSource, count_items, open_source, take
from blipvino.errors import DataError
from blipvino.graphs.recipes import AUTO
from blipvino.machine.host import choose_arithmetic
from blipvino.machine.record import this_machine
from blipvino.optimization.search.options import Search
from blipvino.optimization.search.strategy import RecipeSearch
from blipvino.optimization.search.trial_runner import Materials, TrialRunner
from blipvino.optimization.search.validation import HeldOutSource
from blipvino.progress import Reporter
from blipvino.recipe import Recipe


@dataclass(frozen=True)
class ValidationSamples:
    """The samples that recipes are judged by, and the name of their source."""

    source: str
    samples: Sequence[Sample]


def search_recipe(
    materials: Materials, validation: ValidationSamples, options: Search, reporter: Reporter
) -> tuple[Recipe, SearchRecord]:
    """Search for a recipe, and put its graphs into the bundle's folder.

    Ctrl-C ends the search, not the work: the best so far is written. A second one ends the work.

    Args:
        materials: what recipes are built from. A hidden folder beside the bundle's, removed at the end, holds the rest.
        validation: of `take_validation_samples`.
        options: what to look for.
        reporter: says what is tried.

    Returns:
        The recipe, and the record of the search for the manifest.

    Raises:
        ImageError: a validation image cannot be read.
        DataError: there are no validation samples.
    """
    started, folder = time.perf_counter(), materials.folder
    with TemporaryDirectory(prefix=f"{folder.name}.search.", dir=folder.parent) as work:
        trial_runner = TrialRunner(materials, Path(work), validation.samples, options, reporter)
        measure = trial_runner.validation.measure
        reporter.say(f"Searching: at most {options.max_drop:g} points less of {measure}, then fast, then small")
        found = RecipeSearch(trial_runner, options, reporter).run()
        reporter.say(_ending(found, options))
        trial_runner.put(found.treatments, folder)
    recipe = Recipe(AUTO, f"chosen by measurement, at most {options.max_drop:g} points less", found.treatments)
    record = SearchRecord(
        measure=measure,
        outcome=found.outcome,
        max_drop=options.max_drop,
        decide_by=options.decide_by,
        source=validation.source,
        samples=count_items(validation.samples),
        images=len(validation.samples),
        seed=options.seed,
        latency_samples=min(options.latency_samples, len(validation.samples)),
        seconds=round(time.perf_counter() - started, 1),
        machine=this_machine(),
        trials=found.trials,
        arithmetic=choose_arithmetic().arithmetic,
    )
    return recipe, record


def take_validation_samples(options: Search, calibration: SampleSource, seen: Sequence[Sample]) -> ValidationSamples:
    """Take the samples that recipes are judged by.

    Args:
        options: name the source, or leave it to be the calibration's.
        calibration: the calibration's source.
        seen: what calibration sees of it, and validation must not.

    Raises:
        DataError: the source cannot be read, or calibration sees all of it.
    """
    source: SampleSource = calibration if options.validation is None else open_source(options.validation)
    if source.name == calibration.name:
        source = HeldOutSource(source, tuple(seen))
        if next(source.samples(options.seed, 1), None) is None:
            raise DataError(
                f"{source.name}: calibration sees all of its images, so none are left to judge recipes by; "
                "name another source with --validation, or calibrate on fewer --samples"
            )
    return ValidationSamples(source.name, take(source, options.validation_samples, options.seed))


def _ending(found: Found, options: Search) -> str:
    kept = next((trial for trial in reversed(found.trials) if trial.treatments == found.treatments), None)
    drop = "" if kept is None or kept.score is None else f" (drop {kept.score.drop:.2f} of {options.max_drop:g} points)"
    best = "all in FP16" if kept is None else replace(kept, phase="result", graph=None).what
    ended = {"finished": "Found", "interrupted": "Interrupted; the best so far", "out of time": "Time is up; the best"}
    return f"{ended[found.outcome]}: {best}{drop}"
