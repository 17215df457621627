"""Questions about shapes-world scenes, with answers that the scene itself decides.

Each function of `QUESTION_TYPES` proposes one question of its type, or None where the scene allows none. Yes and no
are balanced by choosing the answer first; a "no" differs from the truth in one attribute where it can.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from blipvino.demo.captions import ATTRIBUTES, phrase
from blipvino.demo.naming import HORIZONTAL, VALUES, VERTICAL, Axis, matches, pick, pick_half, pick_pair, unique_phrase
from blipvino.demo.scenes import TEXTURES, Scene, may_show


@dataclass(frozen=True)
class Question:
    """A question, its one right answer, and its type (a key of `QUESTION_TYPES`)."""

    text: str
    answer: str
    kind: str

    @property
    def answer_type(self) -> str:
        """VQAv2's answer type: "yes/no", "number" or "other"."""
        if self.answer in ("yes", "no"):
            return "yes/no"
        return "number" if self.answer.isdigit() else "other"


def sample_questions(scene: Scene, rng: np.random.Generator, count: int) -> list[Question]:
    """Up to ``count`` distinct questions, spread evenly over the types that the scene allows."""
    chosen: dict[str, Question] = {}
    for _ in range(4):
        for kind in rng.permutation(list(QUESTION_TYPES)):
            question = QUESTION_TYPES[kind](scene, rng)
            if question is not None:
                chosen.setdefault(question.text, question)
            if len(chosen) == count:
                return list(chosen.values())
    return list(chosen.values())


def _attribute(attribute: str, template: str) -> Callable[[Scene, np.random.Generator], Question | None]:
    def ask(scene: Scene, rng: np.random.Generator) -> Question | None:
        item = pick(scene, rng)
        reference = unique_phrase(scene, item, rng, without=attribute)
        if reference is None:
            return None
        return Question(template.format(reference), getattr(item, attribute), attribute)

    return ask


def _identity(scene: Scene, rng: np.random.Generator) -> Question | None:
    """What an object is: "what is the small object?" -> "red circle", an answer of more than one token."""
    item = pick(scene, rng)
    for name in rng.permutation(["size", "texture"]):
        if sum(matches(other, item, [name]) for other in scene.objects) == 1:
            return Question(f"what is the {phrase(item, [name])}?", phrase(item, ["color", "shape"]), "identity")
    return None


def _count(scene: Scene, rng: np.random.Generator) -> Question | None:
    name = str(rng.choice(["any", "color", "shape", "shape", "size", "texture"]))
    if name == "any":
        return Question("how many objects are there?", str(len(scene.objects)), "count")
    tally = Counter(getattr(item, name) for item in scene.objects)
    # An even chance for each count that some value of the attribute has, none included.
    number = int(rng.choice(sorted({tally[value] for value in VALUES[name]})))
    value = str(rng.choice([value for value in VALUES[name] if tally[value] == number]))
    noun = f"{value}s" if name == "shape" else f"{value} objects"
    noun = "crosses" if value == "cross" else noun
    return Question(f"how many {noun} are there?", str(number), "count")


def _existence(scene: Scene, rng: np.random.Generator) -> Question | None:
    item = pick(scene, rng)
    described = {"color": item.color, "shape": item.shape}
    other = str(rng.choice(["none", "size", "texture"]))
    if other != "none":
        described[other] = getattr(item, other)
    yes = bool(rng.integers(2))
    if not yes:
        changed = str(rng.choice(list(described)))
        absent = [value for value in VALUES[changed] if _is_absent(scene, {**described, changed: value})]
        if not absent:
            return None
        described[changed] = str(rng.choice(absent))
    words = [described[name] for name in ATTRIBUTES if name in described]
    return Question(f"is there a {' '.join(words)}?", "yes" if yes else "no", "existence")


def _is_absent(scene: Scene, described: dict[str, str]) -> bool:
    """Whether no object fits a description, of which this split may show an example.

    Without the second condition "no" would be learnt as the answer about every combination that training never shows.
    """
    textures = [described["texture"]] if "texture" in described else TEXTURES
    if not all(may_show(scene.split, (texture, described["color"], described["shape"])) for texture in textures):
        return False
    return not any(all(getattr(o, name) == value for name, value in described.items()) for o in scene.objects)


def _comparison(scene: Scene, rng: np.random.Generator) -> Question | None:
    return (_more if rng.integers(2) else _larger)(scene, rng)


def _more(scene: Scene, rng: np.random.Generator) -> Question | None:
    name = str(rng.choice(["color", "shape"]))
    tally = Counter(getattr(item, name) for item in scene.objects)
    present = str(rng.choice(list(tally)))
    yes = bool(rng.integers(2))
    rivals = [value for value in VALUES[name] if value != present and (tally[present] > tally[value])]
    if not rivals:
        return None
    rival = str(rng.choice(rivals))
    first, second = (present, rival) if yes else (rival, present)
    plural = {"cross": "crosses"}
    nouns = [plural.get(v, f"{v}s") if name == "shape" else f"{v} objects" for v in (first, second)]
    return Question(f"are there more {nouns[0]} than {nouns[1]}?", "yes" if yes else "no", "comparison")


def _larger(scene: Scene, rng: np.random.Generator) -> Question | None:
    pair = pick_pair(scene, rng)
    if pair is None or pair[0].size == pair[1].size:
        return None
    first, second = pair
    names = [unique_phrase(scene, item, rng, without="size") for item in pair]
    if None in names:
        return None
    answer = "yes" if first.radius > second.radius else "no"
    return Question(f"is the {names[0]} larger than the {names[1]}?", answer, "comparison")


def _position(axis: Axis) -> Callable[[Scene, np.random.Generator], Question | None]:
    kind = "/".join(axis.sides)

    def ask(scene: Scene, rng: np.random.Generator) -> Question | None:
        pair = pick_pair(scene, rng)
        if pair is None:
            return None
        offset = getattr(pair[0], axis.coordinate) - getattr(pair[1], axis.coordinate)
        first, second = (unique_phrase(scene, item, rng) for item in pair)
        if first is None or second is None:
            return None
        side = 0 if offset < 0 else 1
        if rng.integers(2):
            return Question(f"is the {first} {axis.either} the {second}?", axis.sides[side], kind)
        asked = int(rng.integers(2))
        answer = "yes" if asked == side else "no"
        return Question(f"is the {first} {axis.relations[asked]} the {second}?", answer, kind)

    return ask


def _location(scene: Scene, rng: np.random.Generator) -> Question | None:
    """In which half of the picture one object is: what a comparison of two positions is learnt from."""
    found = pick_half(scene, rng)
    if found is None:
        return None
    reference, axis, is_latter = found
    first, last = axis.halves
    return Question(f"is the {reference} {axis.at} {first} or {last}?", axis.halves[is_latter], "location")


QUESTION_TYPES: dict[str, Callable[[Scene, np.random.Generator], Question | None]] = {
    "color": _attribute("color", "what color is the {}?"),
    "shape": _attribute("shape", "what shape is the {}?"),
    "size": _attribute("size", "what size is the {}?"),
    "texture": _attribute("texture", "what texture is the {}?"),
    "identity": _identity,
    "count": _count,
    "existence": _existence,
    "comparison": _comparison,
    "location": _location,
    "left/right": _position(HORIZONTAL),
    "above/below": _position(VERTICAL),
}
