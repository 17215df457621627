"""True texts about scenes, each with one word changed that makes it false: the hard negatives of image-text matching.

Each function of `CONTRAST_TYPES` proposes one pair of its type, or None where what it draws allows none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from blipvino.demo.captions import caption
from blipvino.demo.naming import HORIZONTAL, VALUES, VERTICAL, pick_half, pick_pair, unique_phrase
from blipvino.demo.scenes import Scene, SceneObject, may_show
from blipvino.demo.statements import Statement, falsified, listed, placed, short


@dataclass(frozen=True)
class Contrast:
    """A text that is true of a scene, the same text but for one word, which is not, and what was changed."""

    true: str
    false: str
    kind: str


def sample_contrasts(scene: Scene, rng: np.random.Generator, count: int) -> list[Contrast]:
    """So many pairs, of types in turn, as far as they are found."""
    chosen: list[Contrast] = []
    while len(chosen) < count:
        for kind in rng.permutation(list(CONTRAST_TYPES)):
            contrast = CONTRAST_TYPES[kind](scene, rng)
            if contrast is not None and len(chosen) < count:
                chosen.append(contrast)
    return chosen


def _attribute(attribute: str) -> Callable[[Scene, np.random.Generator], Contrast | None]:
    """The caption with another value of one object's attribute."""

    def contrast(scene: Scene, rng: np.random.Generator) -> Contrast | None:
        number = int(rng.integers(len(scene.objects)))
        item = scene.objects[number]
        if getattr(item, attribute) == "plain":  # is not said
            return None
        values = [value for value in VALUES[attribute] if value not in ("plain", getattr(item, attribute))]
        others = [_with(item, attribute, value) for value in values]
        # Else "false" would be learnt as the answer about every combination that training never shows.
        usable = [other for other in others if may_show(scene.split, other.combination)]
        if not usable:
            return None
        objects = list(scene.objects)
        objects[number] = usable[int(rng.integers(len(usable)))]
        return Contrast(caption(scene), caption(replace(scene, objects=tuple(objects))), attribute)

    return contrast


def _with(item: SceneObject, attribute: str, value: str) -> SceneObject:
    changed: dict[str, Any] = {attribute: value}
    return replace(item, **changed)


def _relation(scene: Scene, rng: np.random.Generator) -> Contrast | None:
    """Where one object is, seen from another."""
    pair = pick_pair(scene, rng)
    if pair is None:
        return None
    axis = (HORIZONTAL, VERTICAL)[int(rng.integers(2))]
    first, second = (unique_phrase(scene, item, rng) for item in pair)
    if first is None or second is None:
        return None
    is_after = getattr(pair[0], axis.coordinate) > getattr(pair[1], axis.coordinate)
    said = [f"the {first} is {relation} the {second}" for relation in axis.relations]
    return Contrast(said[is_after], said[not is_after], "relation")


def _side(scene: Scene, rng: np.random.Generator) -> Contrast | None:
    """In which half of the picture an object is."""
    found = pick_half(scene, rng)
    if found is None:
        return None
    reference, axis, is_latter = found
    said = [f"the {reference} is {axis.at} {half}" for half in axis.halves]
    return Contrast(said[is_latter], said[not is_latter], "side")


def _statement(
    kind: str, draw: Callable[[Scene, np.random.Generator], Statement | None]
) -> Callable[[Scene, np.random.Generator], Contrast | None]:
    """A text that says less than all, and the same with another attribute or relation."""

    def contrast(scene: Scene, rng: np.random.Generator) -> Contrast | None:
        statement = draw(scene, rng)
        false = None if statement is None else falsified(statement, scene, rng)
        return None if statement is None or false is None else Contrast(statement.text, false.text, kind)

    return contrast


CONTRAST_TYPES: dict[str, Callable[[Scene, np.random.Generator], Contrast | None]] = {
    "color": _attribute("color"),
    "shape": _attribute("shape"),
    "size": _attribute("size"),
    "texture": _attribute("texture"),
    "relation": _relation,
    "side": _side,
    "short": _statement("short", short),
    "listed": _statement("listed", listed),
    "placed": _statement("placed", placed),
}
