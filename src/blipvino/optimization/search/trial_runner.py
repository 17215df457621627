"""The runner of a real search: recipes become bundles in a folder for the time, which are loaded and measured."""

from __future__ import annotations

import math
import shutil
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from PIL import Image

from blipvino.bundle.manifest import SourceInfo
from blipvino.bundle.search_record import Race, Score, Treatments
from blipvino.bundle.writing import BundleDetails, write_bundle
from blipvino.checkpoint.tensors import Checkpoint
from blipvino.compress.calibration import CalibrationSet
from blipvino.compress.noise.measure import rank_layers
from blipvino.data import QUESTIONS, Sample
from blipvino.graphs.specs import graph_names
from blipvino.machine.core import read_ir
from blipvino.optimization.search.options import Search
from blipvino.optimization.search.store import Compress, GraphStore
from blipvino.optimization.search.validation import Validation
from blipvino.progress import Reporter
from blipvino.recipe import FP16, Recipe, Treatment
from blipvino.runtime.blip import Blip
from blipvino.runtime.compiling.engine_options import EngineOptions
from blipvino.runtime.inputs.images import load_image

RANKED_IMAGES = 20
"""Calibration images that the layers' errors are measured on."""
ANSWER_TOKENS, CAPTION_TOKENS = 3, 10
"""New tokens of the texts that are timed, exactly: how fast a recipe is must not depend on what it says."""
LEAST_RACE_SECONDS = 4.0
"""Short texts are timed again and again for about so long."""
LOADED = 2
"""Models that stay loaded: the best so far and its challenger."""


@dataclass(frozen=True)
class Materials:
    """What recipes are built from.

    Attributes:
        checkpoint: the original.
        compress: makes its graphs.
        calibration: the samples that compression sees.
        folder: of the bundle to be, with the files that are not graphs, and no others yet.
    """

    checkpoint: Checkpoint
    compress: Compress
    calibration: CalibrationSet
    folder: Path


class TrialRunner:
    """Builds recipes and measures them; see `blipvino.optimization.search.strategy.RunsTrials`.

    Args:
        materials: what to build from.
        folder: for whatever is built, on the file system of the bundle to be; existing, empty, and of nobody else.
        samples: that recipes are judged by.
        options: how much to measure.
        reporter: shows how far it is.

    Raises:
        ImageError: a sample's image cannot be read.
        DataError: there are no samples.
    """

    def __init__(
        self, materials: Materials, folder: Path, samples: Sequence[Sample], options: Search, reporter: Reporter
    ) -> None:
        self._materials, self._folder, self._samples = materials, folder, samples
        self._options, self._reporter = options, reporter
        self.graphs = graph_names(materials.checkpoint.config.architecture)
        (folder / "graphs").mkdir()
        self._store = GraphStore(folder / "graphs", materials.compress)
        self._loaded: OrderedDict[tuple[Treatment, ...], Blip] = OrderedDict()
        self._files = sorted(materials.folder.iterdir())
        self._bundles = 0
        bundle = self._build(dict.fromkeys(self.graphs, FP16))
        original = Blip.load(bundle, options=EngineOptions(precision="f32"), verify=False)
        self.validation = Validation(samples, original, options.seed, reporter)
        shutil.rmtree(bundle)

    def score(self, treatments: Treatments) -> Score:
        """How good its texts are."""
        return self.validation.score(self._load(treatments), treatments["vision"])

    def size(self, treatments: Treatments) -> int:
        """Bytes of its weights."""
        return sum(self._store.size(name, treatment) for name, treatment in treatments.items())

    def race(self, challenger: Treatments, holder: Treatments) -> Race:
        """Time whole calls, from the decoded image to the text; the two take turns at going first."""
        held = self._load(holder)  # first, so that it is not what makes room for the challenger
        models = self._load(challenger), held
        for blip in models:
            _seconds_of_text(blip, *self._timed[0])  # compiles the graphs
        turn = sum(_seconds_of_text(blip, *self._timed[0]) for blip in models)
        rounds = max(1, math.ceil(LEAST_RACE_SECONDS / (turn * len(self._timed))))
        seconds: tuple[list[float], list[float]] = ([], [])
        for image, question in self._reporter.track(self._timed * rounds, "Timing", len(self._timed) * rounds):
            for which in (0, 1) if len(seconds[0]) % 2 == 0 else (1, 0):
                seconds[which].append(_seconds_of_text(models[which], image, question))
        return Race.of(*seconds)

    def rank_layers(self, graph: str, treatment: Treatment) -> Sequence[str]:
        """Names of the graph's nodes, those first that add the most noise for their signal."""
        model = read_ir(self._store.graph(graph, treatment))
        images = self._materials.calibration.images[:RANKED_IMAGES]
        ranked = rank_layers(self._materials.checkpoint, {graph: model}, images, self._reporter)
        return [layer.node for layer in ranked[graph]]

    def put(self, treatments: Treatments, folder: Path) -> None:
        """Put a recipe's graphs into a bundle's folder."""
        self._store.put(treatments, folder)

    def _load(self, treatments: Treatments) -> Blip:
        key = tuple(treatments[name] for name in self.graphs)
        if key not in self._loaded:
            while len(self._loaded) >= LOADED:
                _, forgotten = self._loaded.popitem(last=False)
                shutil.rmtree(forgotten.bundle.folder)
            # No cache of images: each is to be looked at anew when it is timed.
            self._loaded[key] = Blip.load(self._build(treatments), image_cache_bytes=0, verify=False)
        self._loaded.move_to_end(key)
        return self._loaded[key]

    def _build(self, treatments: Treatments) -> Path:
        checkpoint = self._materials.checkpoint
        source = SourceInfo(checkpoint.source, checkpoint.revision, checkpoint.sha256)
        recipe = Recipe("trial", "", treatments)
        self._bundles += 1
        target = self._folder / f"bundle-{self._bundles}"
        with write_bundle(target, BundleDetails(source, checkpoint.config.architecture, recipe)) as folder:
            for path in self._files:
                shutil.copyfile(path, folder / path.name)
            self._store.put(treatments, folder)
        return target

    @cached_property
    def _timed(self) -> list[tuple[Image.Image, str]]:
        """Images, each with a question."""
        samples = self._samples[: self._options.latency_samples]
        asked = [next((question.text for question in sample.questions), QUESTIONS[0]) for sample in samples]
        return [(load_image(sample.image()), question) for sample, question in zip(samples, asked, strict=True)]


def _seconds_of_text(blip: Blip, image: Image.Image, question: str) -> float:
    """The seconds that one text of a fixed length takes: an answer where the model answers, else a caption."""
    started = time.perf_counter()
    if blip.config.answers_questions:
        blip.answer(image, question, min_new_tokens=ANSWER_TOKENS, max_new_tokens=ANSWER_TOKENS)
    else:
        blip.caption(image, min_new_tokens=CAPTION_TOKENS, max_new_tokens=CAPTION_TOKENS)
    return time.perf_counter() - started
