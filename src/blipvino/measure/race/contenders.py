"""Who takes part: how each contender's files are built from a checkpoint, and how it is loaded in its worker.

Everything is imported where it is used: a worker imports its own contender's libraries and no other's.
"""

# ruff: noqa: PLC0415

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from blipvino.errors import InputError
from blipvino.graphs.recipes import RECIPE_NAMES, find_recipe
from blipvino.measure.race.contender import Contender

if TYPE_CHECKING:
    from PIL import Image

TORCH = ("torch", "transformers")
ONNX = (*TORCH, "onnx", "onnxruntime")
PREFIX = "blipvino-"
"""Of blipvino's contenders: one a recipe."""
FP16, INT8 = f"{PREFIX}none", f"{PREFIX}int8"
DEFAULT_RECIPES = ("none", "int8", "int8-int4")


@dataclass(frozen=True)
class Workplace:
    """Where contenders find their files.

    Attributes:
        checkpoint: folder of the checkpoint.
        folder: what is built from it; kept between runs.
        threads: of each contender; None uses every core.
        samples: that quantization is calibrated on.
    """

    checkpoint: Path
    folder: Path
    threads: int | None = None
    samples: int = 20

    def bundle(self, recipe: str) -> Path:
        """The bundle of a recipe."""
        return self.folder / f"bundle-{recipe}"

    @property
    def tutorial(self) -> Path:
        """The tutorial's models."""
        return self.folder / "tutorial"

    @property
    def onnx(self) -> Path:
        """ONNX Runtime's models."""
        return self.folder / "onnx"

    def log(self, name: str) -> Path:
        """What a contender's process prints."""
        return self.folder / f"{name}.log"


@dataclass(frozen=True)
class ContenderSpec:
    """One way to take part.

    Attributes:
        name: what ``--contenders`` takes.
        label: for people.
        needs: modules of the extra ``bench`` that it imports.
        product: the folder that it needs in the workplace, which others may share; None needs the checkpoint alone.
        build: makes that folder's content.
        load: makes the contender from them.
        files: the files of its model, for their size.
        bf16_only: takes part by default only where the CPU computes in bf16.
    """

    name: str
    label: str
    needs: tuple[str, ...]
    product: str | None
    build: Callable[[Workplace], None]
    load: Callable[[Workplace], Contender]
    files: Callable[[Workplace], list[Path]]
    bf16_only: bool = False

    def stamp(self, place: Workplace) -> Path | None:
        """The file that says that its product is whole."""
        return None if self.product is None else place.folder / f"{self.product}.built"

    @property
    def missing(self) -> list[str]:
        """The modules among its needs that are not installed."""
        return [name for name in self.needs if find_spec(name) is None]


def contender_specs(recipes: Sequence[str] = DEFAULT_RECIPES) -> dict[str, ContenderSpec]:
    """The baselines, then blipvino by each recipe, by name."""
    baselines = (
        _transformers("fp32", "float32"),
        _transformers("bf16", "bfloat16"),
        _tutorial("fp16"),
        _tutorial("int8"),
        ContenderSpec("onnxruntime-int8", "ONNX Runtime INT8", ONNX, "onnx", _build_onnx, _load_onnx, _onnx_files),
    )
    return {one.name: one for one in (*baselines, *map(_ours, recipes))}


def find_contenders(names: Sequence[str] | None, recipes: Sequence[str] | None) -> list[ContenderSpec]:
    """The contenders of these names, and blipvino by these recipes; without names all, without both everyone.

    Raises:
        InputError: there is no such contender or recipe, or it needs what is not installed.
    """
    for recipe in recipes or ():
        find_recipe(recipe)
    if names is None:
        return list(contender_specs(recipes or DEFAULT_RECIPES).values())
    known = contender_specs(tuple(dict.fromkeys((*DEFAULT_RECIPES, *RECIPE_NAMES))))
    for name in names:
        if name not in known:
            raise InputError(f"no contender {name!r}; expected one of {', '.join(known)}")
        if missing := known[name].missing:
            raise InputError(f"{name} needs {', '.join(missing)}: pip install 'blipvino[bench]'")
    wanted = {*names, *(PREFIX + recipe for recipe in recipes or ())}
    return [one for name, one in known.items() if name in wanted]


def _transformers(name: str, dtype: Literal["float32", "bfloat16"]) -> ContenderSpec:
    load = partial(_load_transformers, dtype=dtype)
    label, bf16_only = f"transformers {name}", name == "bf16"
    return ContenderSpec(f"transformers-{name}", label, TORCH, None, _build_nothing, load, _checkpoint_files, bf16_only)


def _tutorial(precision: Literal["fp16", "int8"]) -> ContenderSpec:
    load, files = partial(_load_tutorial, precision=precision), partial(_tutorial_files, precision=precision)
    label = f"tutorial {precision.upper()}"
    return ContenderSpec(f"tutorial-{precision}", label, TORCH, "tutorial", _build_tutorial, load, files)


def _ours(recipe: str) -> ContenderSpec:
    build, load = partial(_build_ours, recipe=recipe), partial(_load_ours, recipe=recipe)
    label = "blipvino " + ("FP16" if recipe == "none" else recipe.upper().replace("INT8-INT4", "INT8/INT4"))
    return ContenderSpec(
        PREFIX + recipe, label, (), f"bundle-{recipe}", build, load, partial(_ours_files, recipe=recipe)
    )


def _build_nothing(place: Workplace) -> None:
    """The checkpoint is all there is."""


def _load_transformers(place: Workplace, dtype: Literal["float32", "bfloat16"]) -> Contender:
    from blipvino.measure.race.baselines.transformers_model import TransformersModel

    return TransformersModel(place.checkpoint, dtype, place.threads)


def _checkpoint_files(place: Workplace) -> list[Path]:
    return list(place.checkpoint.glob("model*.safetensors*"))


def _build_tutorial(place: Workplace) -> None:
    from blipvino.measure.race.baselines.tutorial import build_tutorial

    build_tutorial(place.checkpoint, place.tutorial, _calibration(place.samples), samples=place.samples)


def _calibration(samples: int) -> Iterator[tuple[Image.Image, str]]:
    """The samples that our own bundles are calibrated on as well."""
    from blipvino.data import open_source, take

    taken = take(open_source("demo"), samples, spread=True)
    return ((sample.image(), asked.text) for sample in taken for asked in sample.questions)


def _load_tutorial(place: Workplace, precision: Literal["fp16", "int8"]) -> Contender:
    from blipvino.measure.race.baselines.tutorial import TutorialPipeline

    properties = {} if place.threads is None else {"INFERENCE_NUM_THREADS": place.threads}
    return TutorialPipeline(place.tutorial, precision, properties)


def _tutorial_files(place: Workplace, precision: str) -> list[Path]:
    found = chain(place.tutorial.glob("*.xml"), place.tutorial.glob("*.bin"))
    return [path for path in found if path.stem.endswith("_int8") == (precision == "int8")]


def _build_onnx(place: Workplace) -> None:
    from blipvino.measure.race.baselines.onnx_runtime import build_onnx

    build_onnx(place.checkpoint, place.onnx)


def _load_onnx(place: Workplace) -> Contender:
    from blipvino.measure.race.baselines.onnx_runtime import OnnxRuntimePipeline

    return OnnxRuntimePipeline(place.onnx, threads=place.threads)


def _onnx_files(place: Workplace) -> list[Path]:
    return [path for path in (place.onnx / "int8").iterdir() if path.is_file()]


def _build_ours(place: Workplace, recipe: str) -> None:
    from blipvino.optimization.optimize import CalibrationOptions, optimize

    if not place.bundle(recipe).exists():  # a bundle is written whole or not at all
        seen = CalibrationOptions("demo", place.samples)  # what the tutorial's pipeline is calibrated on here, too
        optimize(place.checkpoint, place.bundle(recipe), recipe=recipe, calibration=seen)


def _load_ours(place: Workplace, recipe: str) -> Contender:
    from blipvino.measure.race.ours import BlipvinoContender
    from blipvino.runtime.compiling.engine_options import EngineOptions

    return BlipvinoContender(place.bundle(recipe), EngineOptions(threads=place.threads))


def _ours_files(place: Workplace, recipe: str) -> list[Path]:
    return [path for path in place.bundle(recipe).iterdir() if path.is_file()]
