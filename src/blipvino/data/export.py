"""Export of the shapes world as images with VQAv2 and COCO files, for any tool that reads those."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from blipvino.data.coco import image_stem, write_coco
from blipvino.data.demo import QUESTIONS_PER_SCENE, demo_sample
from blipvino.data.vqav2 import write_vqav2
from blipvino.demo.scenes import Split
from blipvino.errors import DataError
from blipvino.files.atomic import new_folder

__all__ = ["IMAGE_FOLDER", "export_world"]

IMAGE_FOLDER = "images"


def export_world(folder: Path, split: Split, scenes: int, questions_per_scene: int = QUESTIONS_PER_SCENE) -> Path:
    """Write the first ``scenes`` scenes of a split.

    The folder gets ``images/COCO_{split}_{index:012d}.png``, ``v2_OpenEnded_mscoco_{split}_questions.json``,
    ``v2_mscoco_{split}_annotations.json`` and ``captions_{split}.json``. It appears complete or not at all.

    Args:
        folder: To be made, with its parents; an empty one is accepted.
        split: "train", "validation" or "test".
        scenes: How many, at least one.
        questions_per_scene: How many to ask of a scene at most, at least one.

    Returns:
        The folder.

    Raises:
        DataError: A number or the split is not valid.
        OutputError: The folder exists and is not empty, or cannot be written.
    """
    if split not in get_args(Split):
        raise DataError(f"no split {split!r} in the demo world; choose one of {', '.join(get_args(Split))}")
    if scenes < 1 or questions_per_scene < 1:
        raise DataError(f"cannot export {scenes} scenes with {questions_per_scene} questions: ask for 1 or more")
    with new_folder(folder) as staged:
        _write(staged, split, scenes, questions_per_scene)
    return folder


def _write(folder: Path, split: Split, scenes: int, questions_per_scene: int) -> None:
    images = folder / IMAGE_FOLDER
    images.mkdir()
    samples = [demo_sample(split, index, questions_per_scene) for index in range(scenes)]
    for index, sample in enumerate(samples):
        sample.image().save(images / f"{image_stem(split, index)}.png")
    description = f"blipvino shapes world, {split} split, scenes 0 to {scenes - 1}"
    write_vqav2(folder, samples, split, description)
    write_coco(folder, samples, split, ".png", description)
