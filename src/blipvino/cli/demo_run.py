"""The first run: optimize the embedded checkpoint, caption and answer, report how it stands beside the original."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from blipvino.checks import integer
from blipvino.demo.questions import sample_questions
from blipvino.demo.scenes import render, sample_scene, scene_rng
from blipvino.files.atomic import make_folder, write_png
from blipvino.graphs.recipes import AUTO, find_recipe
from blipvino.measure.race.full_size import FullSize
from blipvino.measure.report.pictures import visualize
from blipvino.measure.report.report import Report, ReportOptions
from blipvino.measure.report.write_report import write_report
from blipvino.optimization.optimize import optimize
from blipvino.runtime.blip import Blip

DIAGNOSED = 12
"""Scenes that error by layer is measured on: few, so that the demo stays short."""
SAMPLE_SCENES = (2, 3, 11, 41)
"""Scenes of the test split that make good pictures: several objects each."""


@dataclass(frozen=True)
class DemoSample:
    """One picture that the demo wrote, and what the compressed model says of it."""

    image: str
    caption: str
    question: str
    answer: str


@dataclass(frozen=True)
class DemoRun:
    """All that the demo shows; ``full_size`` is None where it was not timed."""

    samples: tuple[DemoSample, ...]
    report: Report
    page: Path
    full_size: FullSize | None = None

    def to_json(self) -> dict[str, Any]:
        """Everything but the pictures."""
        return {
            "report": str(self.page),
            "samples": [asdict(sample) for sample in self.samples],
            **self.report.cost.to_json(),
            "evaluation": self.report.evaluation.to_json(),
            "full_size": None if self.full_size is None else self.full_size.to_json(),
        }


def run_demo(folder: Path, recipe: str, samples: int, *, show_progress: bool = True) -> DemoRun:
    """Write ``bundle/``, ``samples/`` and ``report.html`` into a folder.

    Raises:
        BlipvinoError: the folder cannot be written, the recipe does not exist, or there are no samples.
    """
    samples = integer("samples", samples, at_least=1)
    if recipe != AUTO:
        find_recipe(recipe)  # a mistake leaves no folder behind
    make_folder(folder / "samples")
    bundle = optimize("demo", folder / "bundle", recipe=recipe, overwrite=True, show_progress=show_progress)
    blip = Blip.load(bundle)
    shown = tuple(_describe_scene(blip, index, folder / "samples") for index in SAMPLE_SCENES)
    options = ReportOptions(samples, diagnose_samples=DIAGNOSED)
    page = folder / "report.html"
    report = write_report(bundle, page, "demo:test", options, show_progress=show_progress)
    return DemoRun(shown, report, page)


def _describe_scene(blip: Blip, index: int, folder: Path) -> DemoSample:
    scene = sample_scene("test", index)
    image = Image.fromarray(render(scene))
    path = folder / f"scene-{index}.png"
    write_png(path, image)
    question = sample_questions(scene, scene_rng("test", index, 1), 1)[0].text
    caption, answer = blip.caption(path), blip.answer(path, question)
    write_png(folder / f"scene-{index}-answered.png", visualize(image, caption, question, answer))
    return DemoSample(str(path), caption, question, answer)
