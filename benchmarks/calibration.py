"""What a full-size model loses on photographs when it is calibrated on shapes, generated pictures or photographs.

python -m benchmarks.calibration --output out/calibration

BLIP-base with random weights is calibrated on each of these. Its error is measured on half of the photographs that
scikit-image and scikit-learn ship, whole, when every graph reads what the quantized ones before it make; its ranges are
compared with those that crops of these very photographs give. `--swap` exchanges the halves. Ranges can be compared by
the recipe `minmax` alone: SmoothQuant scales channels by what it saw, so that each source has ranges of its own terms.
`--graphs` names others than those that read pictures. A second run with the same output goes on where the first was
stopped, and measures nothing twice; `--only` measures one source and prints nothing.
"""

from __future__ import annotations

import argparse
import gc
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import openvino as ov

from benchmarks.overflow import load_samples
from benchmarks.photographs import HALVES, write_crops, write_wholes
from benchmarks.random_checkpoint import write_random_checkpoint
from blipvino.checkpoint.tensors import Checkpoint, load_checkpoint
from blipvino.compress.compressor import Compressor
from blipvino.compress.noise.measure import measure
from blipvino.demo import resolve
from blipvino.files.atomic import make_folder, write_text
from blipvino.graphs.recipes import find_recipe
from blipvino.graphs.specs import graph_names
from blipvino.progress import Reporter

SAME = "same photographs"
NARROW = 0.9
"""Share of a range that fits below which a range counts as too narrow: values beyond it are clipped."""
PLAIN = "minmax"
"""The recipe whose ranges can be compared."""


@dataclass(frozen=True)
class Found:
    """What a source of calibration samples comes to, by graph.

    Attributes:
        sqnr: decibels, of each graph's outputs when all graphs before it are quantized too.
        ranges: widths of the activations' ranges, by the quantizer's name.
    """

    sqnr: Mapping[str, float]
    ranges: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Wanted:
    """What is measured, of whatever source: graphs by a recipe, on how many samples, on which photographs."""

    recipe: str
    graphs: tuple[str, ...]
    samples: int
    measured: Path


def investigate(checkpoint: Checkpoint, source: str, wanted: Wanted) -> Found:
    """Calibrate on samples of a source, and measure on the photographs."""
    reporter = Reporter()
    compressor = Compressor(checkpoint, load_samples(checkpoint, source, wanted.samples), reporter)
    treatments = find_recipe(wanted.recipe).treatments
    graphs = [name for name in graph_names(checkpoint.config.architecture) if name in wanted.graphs]
    models = {name: compressor.compress(name, treatments[name]) for name in graphs}
    del compressor
    gc.collect()
    ranges = {name: activation_ranges(model) for name, model in models.items()}
    photographs = len(list(wanted.measured.iterdir()))
    images = load_samples(checkpoint, f"folder:{wanted.measured}", photographs).images
    errors = {name: made.chained for name, made in measure(checkpoint, models, images, reporter, chain=True)}
    return Found({name: error.sqnr for name, error in errors.items() if error is not None}, ranges)


def activation_ranges(model: ov.Model) -> dict[str, float]:
    """How wide the range of each quantized activation is, by its quantizer's name."""
    widths = {}
    for node in model.get_ops():
        if node.get_type_name() == "FakeQuantize" and node.input_value(0).get_node().get_type_name() != "Constant":
            low, high = (node.input_value(place).get_node().data for place in (1, 2))
            widths[node.get_friendly_name()] = float(np.max(high - low))
    return widths


def compared(ranges: Mapping[str, float], fitting: Mapping[str, float]) -> str:
    """Ranges over those that fit: their geometric mean, and the share of them that is too narrow."""
    shares = np.array([ranges[name] / fitting[name] for name in fitting])
    return f"{np.exp(np.log(shares).mean()):.2f} ({np.mean(shares < NARROW):.0%})"


def table(found: Mapping[str, Found], recipe: str) -> Iterator[str]:
    """A row a source, as Markdown."""
    graphs = list(found[SAME].sqnr)
    ranged = graphs if recipe == PLAIN else []
    yield f"| calibrated on | {' | '.join([*graphs, *(f'ranges of {graph}' for graph in ranged)])} |"
    yield "|---" * (1 + len(graphs) + len(ranged)) + "|"
    for name, one in found.items():
        cells = [f"{one.sqnr[graph]:.1f}" for graph in graphs]
        cells += [compared(one.ranges[graph], found[SAME].ranges[graph]) for graph in ranged]
        yield f"| {name} | {' | '.join(cells)} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, measure what is missing, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("out/calibration"), help="folder for what is found, kept")
    parser.add_argument("--checkpoint", help="use this one instead of random weights")
    parser.add_argument("--recipe", default=PLAIN, help="one that calibrates: minmax, int8")
    parser.add_argument("--graphs", default="vision,question_kv", help="names, separated by commas")
    parser.add_argument("--samples", type=int, default=32, help="of each source")
    parser.add_argument("--swap", action="store_true", help="measure on the other half of the photographs")
    parser.add_argument("--only", help="shapes, natural, other, same")
    asked = parser.parse_args(arguments)
    checkpoint = asked.checkpoint or asked.output / "checkpoint"
    if asked.checkpoint is None and not (checkpoint / "preprocessor_config.json").exists():  # what is written last
        write_random_checkpoint(checkpoint)
    others, measured = HALVES[::-1] if asked.swap else HALVES
    place = asked.output / ("swapped" if asked.swap else "halves")
    sources = {
        "shapes": "demo",
        "natural": "natural",
        "other photographs": f"folder:{write_crops(place / 'other', others, asked.samples)}",
        SAME: f"folder:{write_crops(place / 'same', measured, asked.samples)}",
    }
    wanted = Wanted(
        asked.recipe, tuple(asked.graphs.split(",")), asked.samples, write_wholes(place / "whole", measured)
    )
    found = dict[str, Found]()
    for name, source in sources.items():
        kept = place / f"{name.split()[0]}-{asked.recipe}-{asked.samples}-{asked.graphs.replace(',', '-')}.json"
        if not kept.exists() and asked.only in (None, name.split()[0]):
            with load_checkpoint(resolve(checkpoint)) as opened:
                one = investigate(opened, source, wanted)
            make_folder(place)
            write_text(kept, json.dumps(asdict(one), indent=2) + "\n")
        if asked.only is None:
            found[name] = Found(**json.loads(kept.read_text(encoding="utf-8")))
    if asked.only is None:
        print(f"SQNR in dB, recipe {asked.recipe}: {asked.samples} samples, {len(measured)} photographs\n")
        print("\n".join(table(found, asked.recipe)))


if __name__ == "__main__":
    main()
