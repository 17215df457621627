"""What recipes cost in accuracy, side by side: optimizes a checkpoint by each, evaluates, diagnoses, prints two tables.

python -m benchmarks.accuracy demo --recipes int8,int8-int4,auto --output out/accuracy
python -m benchmarks.accuracy demo --factor 50 --recipes minmax,int8,auto --output out/stressed
python -m benchmarks.accuracy demo --factor 50 --no-values --recipes minmax,int8 --output out/stressed-norms
python -m benchmarks.accuracy demo --recipes int8 --arithmetics float,simulated --output out/classes

The last has both classes of CPU on any of them: "float" is what runs without VNNI or AMX, "simulated" rounds as 8-bit
kernels do where there is one of these. A second run with the same output goes on where the first was stopped, and
measures nothing twice.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import copyfile
from typing import cast

from blipvino import Recipe, optimize
from blipvino.bundle.bundle import Bundle, open_bundle
from blipvino.bundle.manifest import MANIFEST_FILE
from blipvino.checkpoint.tensors import load_checkpoint
from blipvino.compress.outliers import OutlierOptions, add_outliers
from blipvino.demo import resolve
from blipvino.files.atomic import make_folder, write_text
from blipvino.graphs.recipes import AUTO
from blipvino.machine.host import ArithmeticOption
from blipvino.measure.diagnosis.diagnose import DiagnoseOptions, diagnose_bundle
from blipvino.measure.diagnosis.diagnosis import Diagnosis
from blipvino.measure.evaluation.evaluate import RunOptions, evaluate_bundle
from blipvino.measure.evaluation.evaluation import EvaluateOptions, Evaluation
from blipvino.measure.report.diagnosis_tables import decibels
from blipvino.measure.report.evaluation_tables import interval
from blipvino.optimization.optimize import CalibrationOptions
from blipvino.optimization.search.options import Search

DATA = "demo:test"
TOKENS = 32
"""A caption of the demo world has up to 24."""


@dataclass(frozen=True)
class Measured:
    """One recipe in one arithmetic: its bundle, its error, and its accuracy where the checkpoint is trained."""

    recipe: str
    bundle: Bundle
    diagnosis: Diagnosis
    evaluation: Evaluation | None

    @property
    def size(self) -> int:
        """Bytes of its graphs' weights."""
        return sum(self.bundle.graph_size(graph) for graph in self.bundle.manifest.recipe.treatments)


def measure(source: str, recipe: str | Recipe, options: argparse.Namespace) -> list[Measured]:
    """Optimize a checkpoint by one recipe, diagnose it and evaluate it; what is there already is left as it is.

    Returns:
        A row for each arithmetic that is asked for.
    """
    name = recipe if isinstance(recipe, str) else recipe.name
    folder = options.output / name
    make_folder(folder)
    if not (folder / "bundle" / MANIFEST_FILE).exists():
        asked = Search(max_drop=options.max_drop, minutes=options.minutes) if recipe == AUTO else recipe
        calibration = CalibrationOptions("demo", options.calibration_samples)
        optimize(source, folder / "bundle", recipe=asked, calibration=calibration)
    diagnosis, rows = _diagnose(folder, options.diagnose_samples), []
    for arithmetic in options.arithmetics.split(","):
        evaluation = _evaluate(folder, arithmetic, options) if options.samples or options.captions else None
        told = name if arithmetic == "auto" else f"{name}, {arithmetic}"
        rows.append(Measured(told, open_bundle(folder / "bundle"), diagnosis, evaluation))
    return rows


def _evaluate(folder: Path, arithmetic: str, options: argparse.Namespace) -> Evaluation:
    """Evaluate a bundle in one arithmetic; what the original says is taken from a run in another."""
    place = folder / ("evaluation" if arithmetic == "auto" else f"evaluation-{arithmetic}")
    make_folder(place)
    said = "predictions-original.jsonl"
    for other in sorted(folder.glob(f"evaluation*/{said}")):
        if not (place / said).exists():
            copyfile(other, place / said)
    asked = EvaluateOptions(options.samples, options.captions, TOKENS, arithmetic=cast(ArithmeticOption, arithmetic))
    return evaluate_bundle(folder / "bundle", DATA, asked, RunOptions(place))


def with_layers_in_float(row: Measured, count: int) -> Recipe:
    """A measured recipe with the worst layers of each graph of quantized activations left float, as a search does."""
    treatments = {}
    for graph, treatment in row.bundle.manifest.recipe.treatments.items():
        if treatment.method == "ptq_int8":
            worst = [layer.node for layer in row.diagnosis.worst() if layer.graph == graph][:count]
            treatments[graph] = replace(treatment, ignored=tuple(worst))
        else:
            treatments[graph] = treatment
    return Recipe(f"{row.recipe}, {count} float", f"{row.recipe} with the worst layers of each graph float", treatments)


def _diagnose(folder: Path, samples: int) -> Diagnosis:
    path = folder / "diagnosis.json"
    if path.exists():
        return Diagnosis.from_json(json.loads(path.read_text(encoding="utf-8")))
    diagnosis = diagnose_bundle(folder / "bundle", DATA, DiagnoseOptions(samples))
    write_text(path, json.dumps(diagnosis.to_json(), indent=2) + "\n")
    return diagnosis


def stressed(source: str, stress: OutlierOptions, folder: Path) -> str:
    """The checkpoint with outlier channels, made where it is not there yet."""
    if not folder.exists():
        make_folder(folder.parent)
        with load_checkpoint(resolve(source)) as checkpoint:
            add_outliers(checkpoint, folder, stress)
    return str(folder)


def accuracy_table(rows: Sequence[Measured]) -> Iterator[str]:
    """Accuracy, its drop and agreement of every recipe, in percent with 95% intervals, as Markdown."""
    known = [(row, row.evaluation) for row in rows if row.evaluation is not None]
    if not known:
        return
    data = known[0][1].data
    yield f"{data.name}: {data.questions:,} questions, {data.captioned:,} captions; percent [95% interval]"
    yield ""
    yield "| recipe | MB | VQA accuracy | drop | agreement of answers | CIDEr-D × 100: drop | agreement of captions |"
    yield "|---|---|---|---|---|---|---|"
    yield f"| original | | {interval(known[0][1].answers[0].original)} | | | | |"
    for row, found in known:
        whole = found.answers[0]
        (cider,) = (score.drop for score in found.captions if score.metric == "CIDEr-D")
        cells = (whole.compressed, whole.drop, whole.agreement)
        captions = f"{interval(cider, 1)} | {interval(found.caption_agreement)}"
        yield f"| {row.recipe} | {row.size / 1e6:.2f} | {' | '.join(map(interval, cells))} | {captions} |"


def error_table(rows: Sequence[Measured]) -> Iterator[str]:
    """SQNR of every graph's outputs when all graphs before it are compressed too, and the worst layer, as Markdown."""
    graphs = list(dict.fromkeys(graph.graph for row in rows for graph in row.diagnosis.graphs))
    yield f"SQNR in dB, {rows[0].diagnosis.data}"
    yield ""
    yield f"| recipe | {' | '.join(graphs)} | worst layer by itself |"
    yield "|---" * (len(graphs) + 2) + "|"
    for row in rows:
        errors = {graph.graph: decibels(graph.chained) for graph in row.diagnosis.graphs}
        (worst,) = row.diagnosis.worst(1)
        told = f"{worst.label}: {decibels(worst.introduced)}"
        yield f"| {row.recipe} | {' | '.join(errors.get(graph, 'float') for graph in graphs)} | {told} |"


def main() -> None:
    """Parse the command line, measure, print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", help="demo, or a checkpoint's folder")
    parser.add_argument("--output", type=Path, required=True, help="folder for bundles, predictions, tables.md")
    parser.add_argument("--recipes", default="int8,int8-int4", help="names, separated by commas")
    parser.add_argument("--arithmetics", default="auto", help="of quantized graphs: auto, float, int8, simulated")
    parser.add_argument("--factor", type=float, help="make outlier channels so many times larger first")
    parser.add_argument(
        "--values", action=argparse.BooleanOptionalAction, default=True, help="with --factor: of attention values too"
    )
    parser.add_argument("--samples", type=int, default=5600, help="questions; 0 with --captions 0 evaluates nothing")
    parser.add_argument("--captions", type=int, default=1200)
    parser.add_argument("--calibration-samples", type=int, default=300)
    parser.add_argument("--diagnose-samples", type=int, default=20)
    parser.add_argument("--max-drop", type=float, default=0.5, help="of the recipe auto")
    parser.add_argument("--minutes", type=float, help="that the search of the recipe auto may take")
    parser.add_argument("--float-layers", type=int, help="the last recipe again, so many layers of each graph float")
    options = parser.parse_args()
    source = options.checkpoint
    if options.factor is not None:
        stress = OutlierOptions(options.factor, values=options.values)
        source = stressed(source, stress, options.output / "checkpoint")
    rows = [row for recipe in options.recipes.split(",") for row in measure(source, recipe, options)]
    if options.float_layers:
        rows += measure(source, with_layers_in_float(rows[-1], options.float_layers), options)
    text = "\n".join([*accuracy_table(rows), "", *error_table(rows)])
    write_text(options.output / "tables.md", text + "\n")
    print(text)


if __name__ == "__main__":
    main()
