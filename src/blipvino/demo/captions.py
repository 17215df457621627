"""Captions of shapes-world scenes, and the noun phrases that captions and questions share."""

from __future__ import annotations

from collections.abc import Sequence

from blipvino.demo.scenes import Scene, SceneObject

__all__ = [
    "ATTRIBUTES",
    "FROM_THE_TOP",
    "caption",
    "caption_from_the_top",
    "enumeration",
    "phrase",
    "references",
    "spoken",
]

ATTRIBUTES = ("size", "texture", "color", "shape")
FROM_THE_TOP = "from the top,"
"""First words of a caption that lists objects from top to bottom: a prompt that asks for that order."""


def phrase(item: SceneObject, attributes: Sequence[str] = ATTRIBUTES) -> str:
    """A noun phrase with the given attributes: "small striped red circle", "red object", "object"."""
    words = [getattr(item, name) for name in ("size", "texture", "color") if name in attributes]
    words.append(item.shape if "shape" in attributes else "object")
    return " ".join(words)


def caption(scene: Scene) -> str:
    """The dense caption: every object from left to right; a plain texture is not mentioned."""
    return _enumerate(sorted(scene.objects, key=lambda item: item.x))


def caption_from_the_top(scene: Scene) -> str:
    """The dense caption in the other order, after the words that ask for it: every object from top to bottom."""
    return f"{FROM_THE_TOP} {_enumerate(sorted(scene.objects, key=lambda item: item.y))}"


def references(scene: Scene) -> list[str]:
    """The captions that an evaluation accepts, the dense one first: as COCO has five a picture, from one scene."""
    left_to_right = sorted(scene.objects, key=lambda item: item.x)
    top_to_bottom = sorted(scene.objects, key=lambda item: item.y)
    largest_first = sorted(scene.objects, key=lambda item: -item.radius)
    orders = (left_to_right, left_to_right[::-1], top_to_bottom, top_to_bottom[::-1], largest_first)
    return [_enumerate(order) for order in orders]


def _enumerate(items: Sequence[SceneObject]) -> str:
    return enumeration(["a " + phrase(item, spoken(item)) for item in items])


def enumeration(named: Sequence[str]) -> str:
    """Noun phrases as one: "a ring, a star and a cross"."""
    return named[0] if len(named) == 1 else ", ".join(named[:-1]) + " and " + named[-1]


def spoken(item: SceneObject) -> tuple[str, ...]:
    """The attributes that a caption says: a plain texture is not among them."""
    return ATTRIBUTES if item.texture != "plain" else ("size", "color", "shape")
