"""Opening a sample source from its one-line description, as given on the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import get_args

from blipvino.data.coco import CocoSource
from blipvino.data.dataset_library import DatasetName
from blipvino.data.demo import DemoSource
from blipvino.data.folder import FolderSource
from blipvino.data.huggingface import HuggingFaceSource
from blipvino.data.natural import NaturalSource
from blipvino.data.samples import SampleSource
from blipvino.data.vqav2 import Vqav2Source
from blipvino.demo.scenes import Split
from blipvino.errors import DataError

FORMS = {
    "demo": "demo[:SPLIT]",
    "natural": "natural",
    "vqav2": "vqav2:QUESTIONS.json[,ANNOTATIONS.json],IMAGES_DIR",
    "coco": "coco:CAPTIONS.json,IMAGES_DIR",
    "folder": "folder:PATH",
    "hf": "hf:NAME[,CONFIG][@SPLIT]",
}
"""The form of each kind of source."""
GENERATED = ("demo", "natural")
"""Kinds that need nothing more than their name."""
AUTO_SOURCE = "auto"
"""Stands for the source of calibration samples that fits a checkpoint; `open_source` does not know checkpoints."""


def open_source(spec: str) -> SampleSource:
    """Open the source that a description names; see `FORMS`. An existing folder may stand for ``folder:PATH``.

    Files and folders are checked to exist and a Hugging Face dataset is contacted, so that a mistake shows at once.

    Raises:
        DataError: The description has none of the forms, or what it names cannot be found.
    """
    kind, _, rest = spec.partition(":")
    if kind in FORMS and (rest or spec in GENERATED):
        return _OPENERS[kind](rest)
    path = _path(spec)
    if spec and path.is_dir():
        return FolderSource(path)
    if path.is_file() and path.suffix == ".json":
        hints = " or ".join(FORMS[kind] for kind in ("vqav2", "coco"))
        raise DataError(f"{spec}: a JSON file does not say where its images are; write {hints}")
    raise DataError(f"unknown source {spec!r}; expected a folder or one of: {'; '.join(FORMS.values())}")


def _path(text: str) -> Path:
    return Path(text).expanduser()  # after "vqav2:" or a comma the shell leaves "~" alone


def _paths(kind: str, rest: str, counts: tuple[int, ...]) -> list[Path]:
    parts = rest.split(",")
    if len(parts) not in counts or not all(parts):
        raise DataError(f"{kind}:{rest}: expected {FORMS[kind]} (no commas within a path)")
    return [_path(part) for part in parts]


def _open_demo(rest: str) -> SampleSource:
    splits: dict[str, Split] = {split: split for split in get_args(Split)}
    split = rest or "validation"
    if split not in splits:
        raise DataError(f"demo:{rest}: no such split; choose one of {', '.join(splits)}")
    return DemoSource(splits[split])


def _open_natural(rest: str) -> SampleSource:
    if rest:
        raise DataError(f"natural:{rest}: expected {FORMS['natural']} and no more")
    return NaturalSource()


def _open_vqav2(rest: str) -> SampleSource:
    questions, *annotations, images = _paths("vqav2", rest, (2, 3))
    return Vqav2Source(questions, images, annotations[0] if annotations else None)


def _open_coco(rest: str) -> SampleSource:
    captions, images = _paths("coco", rest, (2,))
    return CocoSource(captions, images)


def _open_folder(rest: str) -> SampleSource:
    return FolderSource(_path(rest))


def _open_huggingface(rest: str) -> SampleSource:
    name = DatasetName.parse(rest)
    return HuggingFaceSource(name.dataset, name.split, name.config)


_OPENERS: dict[str, Callable[[str], SampleSource]] = {
    "demo": _open_demo,
    "natural": _open_natural,
    "vqav2": _open_vqav2,
    "coco": _open_coco,
    "folder": _open_folder,
    "hf": _open_huggingface,
}
