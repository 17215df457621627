"""Statements about scenes that say less than all of it: some objects by some of their attributes, or how two lie.

"a small ring", "a dotted star and a large red square", "a red circle above a square": what a search is asked for. A
statement is true of a scene that shows at least what it says; what is left unsaid, a texture too, may be anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from blipvino.demo.captions import ATTRIBUTES, FROM_THE_TOP, enumeration, phrase, spoken
from blipvino.demo.naming import HORIZONTAL, VALUES, VERTICAL
from blipvino.demo.scenes import MAX_OBJECTS, Scene, SceneObject, may_show

BoolArray = npt.NDArray[np.bool_]

_RELATIONS = {
    relation: (axis.coordinate, later)
    for axis in (HORIZONTAL, VERTICAL)
    for later, relation in enumerate(axis.relations)
}
"""The coordinate that decides, and whether the first object has the larger one."""
_ATTEMPTS = 20


@dataclass(frozen=True)
class Described:
    """An object, and those of its attributes that are said."""

    item: SceneObject
    attributes: tuple[str, ...]

    @property
    def text(self) -> str:
        """Its noun phrase with an article."""
        return "a " + phrase(self.item, self.attributes)


@dataclass(frozen=True)
class Statement:
    """Objects that are there, one scene object for each; of two perhaps how the first lies to the second.

    Attributes:
        objects: at least one.
        relation: "left of", "right of", "above" or "below"; None says nothing of places.
        from_the_top: whether the text begins as a caption from the top does; its order is then no part of `true_of`.
    """

    objects: tuple[Described, ...]
    relation: str | None = None
    from_the_top: bool = False

    @property
    def text(self) -> str:
        """In words."""
        named = [each.text for each in self.objects]
        if self.relation is not None:
            return f"{named[0]} {self.relation} {named[1]}"
        return f"{FROM_THE_TOP} {enumeration(named)}" if self.from_the_top else enumeration(named)

    def holds(self, scene: Scene) -> bool:
        """Whether it is true of a scene."""
        return bool(true_of([self], [scene])[0, 0])


def dense(scene: Scene, *, from_the_top: bool = False) -> Statement:
    """The dense caption of a scene as a statement."""
    items = sorted(scene.objects, key=lambda item: item.y if from_the_top else item.x)
    return Statement(tuple(Described(item, spoken(item)) for item in items), from_the_top=from_the_top)


def short(scene: Scene, rng: np.random.Generator) -> Statement:
    """One object by some of its attributes: "a small ring"."""
    return Statement((_partly(_some(scene, rng, 1)[0], rng),))


def listed(scene: Scene, rng: np.random.Generator) -> Statement:
    """Some objects in any order, each by all or by some of its attributes."""
    items = _some(scene, rng, int(rng.integers(1, len(scene.objects) + 1)))
    wholly = bool(rng.integers(2))
    return Statement(tuple(Described(item, spoken(item)) if wholly else _partly(item, rng) for item in items))


def placed(scene: Scene, rng: np.random.Generator) -> Statement | None:
    """How one object lies to another: "a red circle above a square"; None where there is one object."""
    if len(scene.objects) < 2:
        return None
    first, second = _some(scene, rng, 2)
    axis = (HORIZONTAL, VERTICAL)[int(rng.integers(2))]
    is_after = getattr(first, axis.coordinate) > getattr(second, axis.coordinate)
    return Statement((_partly(first, rng), _partly(second, rng)), axis.relations[is_after])


def falsified(statement: Statement, scene: Scene, rng: np.random.Generator) -> Statement | None:
    """The statement with one word changed so that it is not true of the scene; None where no such change is found.

    As often as not the word of a relation is the one. No combination is said that the scene's split never shows.
    """
    for _ in range(_ATTEMPTS):
        if statement.relation is not None and rng.integers(2):
            changed: Statement | None = replace(statement, relation=_opposite(statement.relation))
        else:
            changed = _with_another_value(statement, scene, rng)
        if changed is not None and not changed.holds(scene):
            return changed
    return None


def true_of(statements: Sequence[Statement], scenes: Sequence[Scene]) -> BoolArray:
    """Which statements are true of which scenes, ``[statements, scenes]``."""
    table = _Table.of(scenes)
    return np.stack([table.shows(statement) for statement in statements])


def _some(scene: Scene, rng: np.random.Generator, count: int) -> list[SceneObject]:
    return [scene.objects[i] for i in rng.permutation(len(scene.objects))[:count]]


def _partly(item: SceneObject, rng: np.random.Generator) -> Described:
    """An object by its shape, which three in four phrases have, and any of the rest; never by nothing."""
    while True:
        shares = {"shape": 0.75}
        said = tuple(name for name in spoken(item) if rng.random() < shares.get(name, 0.5))
        if said:
            return Described(item, said)


def _opposite(relation: str) -> str:
    (axis,) = (axis for axis in (HORIZONTAL, VERTICAL) if relation in axis.relations)
    return axis.relations[1 - axis.relations.index(relation)]


def _with_another_value(statement: Statement, scene: Scene, rng: np.random.Generator) -> Statement | None:
    """One object with another value of an attribute that is said; None where a split may not show what is drawn."""
    number = int(rng.integers(len(statement.objects)))
    described = statement.objects[number]
    attribute = described.attributes[int(rng.integers(len(described.attributes)))]
    value = VALUES[attribute][int(rng.integers(len(VALUES[attribute])))]
    if value in ("plain", getattr(described.item, attribute)):
        return None
    unsaid: dict[str, Any] = {} if "texture" in described.attributes else {"texture": "plain"}
    said: dict[str, Any] = {attribute: value}
    item = replace(described.item, **said)
    # Else "false" would be learnt as the answer about every combination that training never shows.
    if not may_show(scene.split, replace(item, **unsaid).combination):
        return None
    objects = list(statement.objects)
    objects[number] = Described(item, described.attributes)
    return replace(statement, objects=tuple(objects))


@dataclass(frozen=True)
class _Table:
    """Scenes in columns: values of each attribute as numbers ``[S, MAX_OBJECTS]``, -1 where there is no object."""

    values: dict[str, npt.NDArray[np.int64]]
    places: dict[str, npt.NDArray[np.float64]]

    @classmethod
    def of(cls, scenes: Sequence[Scene]) -> _Table:
        values = {name: _column(scenes, _number_of(name), -1).astype(np.int64) for name in ATTRIBUTES}
        return cls(values, {name: _column(scenes, attrgetter(name), np.nan) for name in ("x", "y")})

    def shows(self, statement: Statement) -> BoolArray:
        """In which scenes different objects are as each of the statement's, ``[S]``."""
        fitting = np.stack([self._fitting(each) for each in statement.objects])  # [K, S, MAX_OBJECTS]
        chosen = np.array(list(permutations(range(MAX_OBJECTS), len(statement.objects))))  # [P, K]
        holds = fitting[np.arange(len(fitting))[None], :, chosen].all(axis=1)  # [P, S]
        if statement.relation is not None:
            coordinate, later = _RELATIONS[statement.relation]
            first, second = (self.places[coordinate][:, chosen[:, number]].T for number in (0, 1))
            holds &= first > second if later else first < second
        return np.any(holds, axis=0)

    def _fitting(self, described: Described) -> BoolArray:
        wanted = [
            self.values[name] == VALUES[name].index(getattr(described.item, name)) for name in described.attributes
        ]
        return np.all(np.stack(wanted), axis=0)


def _number_of(attribute: str) -> Callable[[SceneObject], float]:
    return lambda item: VALUES[attribute].index(getattr(item, attribute))


def _column(
    scenes: Sequence[Scene], value_of: Callable[[SceneObject], float], missing: float
) -> npt.NDArray[np.float64]:
    column = np.full((len(scenes), MAX_OBJECTS), missing, np.float64)
    for row, scene in zip(column, scenes, strict=True):
        row[: len(scene.objects)] = [value_of(item) for item in scene.objects]
    return column
