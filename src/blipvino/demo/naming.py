"""How one object of a scene is named among the others, and what is said of where it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from blipvino.demo.captions import ATTRIBUTES, phrase
from blipvino.demo.scenes import COLORS, IMAGE_SIZE, MIN_OFFSET, SHAPES, SIZES, TEXTURES, Scene, SceneObject

VALUES: dict[str, tuple[str, ...]] = {
    "size": SIZES,
    "texture": TEXTURES,
    "color": tuple(COLORS),
    "shape": SHAPES,
}


@dataclass(frozen=True)
class Axis:
    """What is said of positions along one coordinate.

    Attributes:
        coordinate: of `SceneObject`.
        sides: on which an object is, seen from another.
        relations: the same in "A is … B".
        either: both in one question, "is A … B?".
        halves: of the picture.
        at: the words before a half, "on the left".
    """

    coordinate: str
    sides: tuple[str, str]
    relations: tuple[str, str]
    either: str
    halves: tuple[str, str]
    at: str


HORIZONTAL = Axis(
    "x", ("left", "right"), ("left of", "right of"), "to the left or right of", ("left", "right"), "on the"
)
VERTICAL = Axis("y", ("above", "below"), ("above", "below"), "above or below", ("top", "bottom"), "at the")


def matches(item: SceneObject, wanted: SceneObject, attributes: Sequence[str]) -> bool:
    """Whether an object has the given attributes in common with another."""
    return all(getattr(item, name) == getattr(wanted, name) for name in attributes)


def unique_phrase(scene: Scene, item: SceneObject, rng: np.random.Generator, without: str = "") -> str | None:
    """A shortest phrase that names this object alone, not using the attribute ``without``."""
    usable = [name for name in ATTRIBUTES if name != without]
    for length in range(1, len(usable) + 1):
        options = list(combinations(usable, length))
        for attributes in (options[i] for i in rng.permutation(len(options))):
            if sum(matches(other, item, attributes) for other in scene.objects) == 1:
                return phrase(item, attributes)
    return None


def pick(scene: Scene, rng: np.random.Generator) -> SceneObject:
    """Any object."""
    return scene.objects[int(rng.integers(len(scene.objects)))]


def pick_pair(scene: Scene, rng: np.random.Generator) -> tuple[SceneObject, SceneObject] | None:
    """Any two objects, or None where there is one."""
    if len(scene.objects) < 2:
        return None
    first, second = rng.permutation(len(scene.objects))[:2]
    return scene.objects[first], scene.objects[second]


def pick_half(scene: Scene, rng: np.random.Generator) -> tuple[str, Axis, bool] | None:
    """Any object by its phrase, an axis, and whether it is in the latter half; None where it is too near the middle."""
    item = pick(scene, rng)
    reference = unique_phrase(scene, item, rng)
    axis = HORIZONTAL if rng.integers(2) else VERTICAL
    offset = getattr(item, axis.coordinate) - IMAGE_SIZE / 2
    return None if reference is None or abs(offset) < MIN_OFFSET else (reference, axis, offset > 0)
