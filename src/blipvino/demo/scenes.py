"""Shapes world: seeded scenes of coloured, textured objects, and their rendering.

A scene is a pure function of ``(split, index)``. The splits never share a scene: their seeds differ, and each of the
validation and test scenes shows at least one combination of texture, colour and shape that no training scene shows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt

__all__ = [
    "COLORS",
    "HELD_OUT",
    "IMAGE_SIZE",
    "MAX_OBJECTS",
    "MIN_OFFSET",
    "SHAPES",
    "SIZES",
    "TEXTURES",
    "Combination",
    "ImageArray",
    "Scene",
    "SceneObject",
    "Split",
    "may_show",
    "render",
    "sample_scene",
    "scene_rng",
]

Split = Literal["train", "validation", "test"]
FloatArray = npt.NDArray[np.float32]
ImageArray = npt.NDArray[np.uint8]

WORLD_SEED = 20_26
IMAGE_SIZE = 96
MAX_OBJECTS = 4
MIN_OFFSET = 8.0
"""Pixels by which two centres differ at least, along both axes: so every order of objects is one that can be seen."""

SHAPES = ("circle", "square", "triangle", "star", "cross", "ring")
SIZES = ("small", "large")
TEXTURES = ("plain", "striped", "dotted")
COLORS: dict[str, tuple[int, int, int]] = {
    "red": (215, 30, 35),
    "green": (30, 160, 55),
    "blue": (40, 70, 215),
    "yellow": (240, 215, 40),
    "purple": (140, 40, 165),
    "cyan": (50, 205, 215),
    "white": (245, 245, 245),
    "black": (25, 25, 28),
}
RADIUS_RANGE = {"small": (10.5, 12.0), "large": (15.5, 18.0)}
TEXTURE_SHARES = (0.5, 0.25, 0.25)

Combination = tuple[str, str, str]
"""Texture, colour and shape of an object."""

HELD_OUT: dict[Split, frozenset[Combination]] = {
    "train": frozenset(),
    "validation": frozenset(
        {
            ("striped", "red", "star"),
            ("dotted", "white", "triangle"),
            ("plain", "green", "ring"),
            ("striped", "purple", "square"),
        }
    ),
    "test": frozenset(
        {
            ("striped", "blue", "cross"),
            ("dotted", "yellow", "circle"),
            ("plain", "cyan", "square"),
            ("striped", "black", "star"),
        }
    ),
}
_SPLIT_SEED: dict[Split, int] = {"train": 0, "validation": 1, "test": 2}


@dataclass(frozen=True)
class SceneObject:
    """One object. ``x``, ``y`` (centre) and ``radius`` are in pixels, ``angle`` in radians."""

    shape: str
    color: str
    size: str
    texture: str
    x: float
    y: float
    radius: float
    angle: float

    @property
    def combination(self) -> Combination:
        """What decides which splits may show this object."""
        return (self.texture, self.color, self.shape)


@dataclass(frozen=True)
class Scene:
    """Objects from back to front, and the seed of everything that is not an object (background, light, noise)."""

    split: Split
    index: int
    objects: tuple[SceneObject, ...]
    backdrop_seed: int


def scene_rng(split: Split, index: int, stream: int) -> np.random.Generator:
    """The generator for one purpose (``stream``) of one scene, independent of all others."""
    return np.random.default_rng([WORLD_SEED, _SPLIT_SEED[split], index, stream])


def sample_scene(split: Split, index: int, max_objects: int = MAX_OBJECTS) -> Scene:
    """The scene number ``index`` of a split, with 1 to ``max_objects`` objects (a curriculum lowers the maximum)."""
    rng = scene_rng(split, index, 0)
    held_out = sorted(HELD_OUT[split])
    count = min(int(rng.choice([1, 2, 3, 4], p=[0.1, 0.3, 0.3, 0.3])), max_objects)
    objects: list[SceneObject] = []
    must_hold_out = int(rng.integers(count)) if held_out else -1
    while len(objects) < count:
        if len(objects) == must_hold_out:
            combination = held_out[int(rng.integers(len(held_out)))]
        else:
            combination = _sample_combination(rng, split)
        placed = _place(rng, combination, objects)
        if placed is None:  # too crowded: start the scene over, from the same stream
            objects.clear()
        else:
            objects.append(placed)
    return Scene(split, index, tuple(objects), backdrop_seed=int(rng.integers(2**31)))


def may_show(split: Split, combination: Combination) -> bool:
    """Whether a split may show a combination, and ask about it: not if it is held out for another."""
    return not any(combination in combinations for name, combinations in HELD_OUT.items() if name != split)


def _sample_combination(rng: np.random.Generator, split: Split) -> Combination:
    while True:
        texture = TEXTURES[int(rng.choice(len(TEXTURES), p=TEXTURE_SHARES))]
        color, shape = list(COLORS)[int(rng.integers(len(COLORS)))], SHAPES[int(rng.integers(len(SHAPES)))]
        if may_show(split, (texture, color, shape)):
            return texture, color, shape


def _place(rng: np.random.Generator, combination: Combination, others: list[SceneObject]) -> SceneObject | None:
    texture, color, shape = combination
    size = SIZES[int(rng.integers(len(SIZES)))]
    radius = float(rng.uniform(*RADIUS_RANGE[size]))
    angle = float(rng.uniform(-0.25, 0.25))
    margin = radius * (1.2 if shape == "star" else 1.0)  # a star's tips reach further out
    for _ in range(30):
        x, y = (float(v) for v in rng.uniform(margin, IMAGE_SIZE - margin, size=2))
        if all(_apart(x - other.x, y - other.y, radius + other.radius) for other in others):
            return SceneObject(shape, color, size, texture, x, y, radius, angle)
    return None


def _apart(dx: float, dy: float, radii: float) -> bool:
    """Whether two objects are: they may overlap a little, down to 85% of the sum of radii, and hide little."""
    return min(abs(dx), abs(dy)) >= MIN_OFFSET and bool(np.hypot(dx, dy) > 0.85 * radii)


def render(scene: Scene) -> ImageArray:
    """Draw a scene: uint8 ``[96, 96, 3]`` RGB, anti-aliased, with uneven light and sensor noise."""
    rng = np.random.default_rng(scene.backdrop_seed)
    canvas = _backdrop(rng)
    for item in scene.objects:
        _draw(canvas, item)
    canvas *= _light(rng)
    canvas += rng.standard_normal(canvas.shape, dtype=np.float32) * np.float32(rng.uniform(1.0, 5.0))
    return np.clip(canvas, 0, 255).astype(np.uint8)


@cache
def _grid() -> tuple[FloatArray, FloatArray]:
    """The pixels' coordinates; nobody writes to them."""
    ys, xs = np.mgrid[0:IMAGE_SIZE, 0:IMAGE_SIZE].astype(np.float32)
    return xs, ys


def _backdrop(rng: np.random.Generator) -> FloatArray:
    """A muted background: plain, gradient, soft blobs, or checks."""
    base = rng.uniform(95, 170) + rng.uniform(-18, 18, size=3).astype(np.float32)
    canvas = np.broadcast_to(base.astype(np.float32), (IMAGE_SIZE, IMAGE_SIZE, 3)).copy()
    xs, ys = _grid()
    kind = int(rng.integers(4))
    contrast = np.float32(rng.uniform(8, 22))
    if kind == 1:
        direction = rng.uniform(0, 2 * np.pi)
        ramp = (xs * np.cos(direction) + ys * np.sin(direction)) / IMAGE_SIZE
        canvas += (contrast * ramp)[..., None].astype(np.float32)
    elif kind == 2:
        blobs = rng.uniform(-1, 1, size=(6, 6)).astype(np.float32)
        canvas += (contrast * blobs).repeat(16, axis=0).repeat(16, axis=1)[..., None]
    elif kind == 3:
        period = float(rng.uniform(10, 24))
        checks = ((xs // period + ys // period) % 2).astype(np.float32)
        canvas += contrast * checks[..., None]
    return canvas


def _light(rng: np.random.Generator) -> FloatArray:
    """A multiplicative light field ``[96, 96, 1]``, brighter on one side."""
    xs, ys = _grid()
    direction = rng.uniform(0, 2 * np.pi)
    ramp = (xs * np.cos(direction) + ys * np.sin(direction)) / IMAGE_SIZE
    return (rng.uniform(0.85, 1.05) + 0.15 * (ramp - ramp.mean()))[..., None].astype(np.float32)


def _draw(canvas: FloatArray, item: SceneObject) -> None:
    """Blend one object into the canvas, inside its bounding box only."""
    reach = item.radius * 1.5
    left, top = max(0, int(item.x - reach)), max(0, int(item.y - reach))
    right, bottom = min(IMAGE_SIZE, int(item.x + reach) + 1), min(IMAGE_SIZE, int(item.y + reach) + 1)
    xs, ys = (coordinate[top:bottom, left:right] for coordinate in _grid())
    dx, dy = xs - np.float32(item.x), ys - np.float32(item.y)
    cos, sin = np.float32(np.cos(item.angle)), np.float32(np.sin(item.angle))
    u, v = dx * cos + dy * sin, dy * cos - dx * sin
    alpha = np.clip(0.5 - _DISTANCE[item.shape](u, v, np.float32(item.radius)), 0, 1)[..., None]
    paint = _paint(item, u, v)
    region = canvas[top:bottom, left:right]
    region += alpha * (paint - region)


def _paint(item: SceneObject, u: FloatArray, v: FloatArray) -> FloatArray:
    """The object's own colour, with a contrasting shade of it in stripes or dots."""
    color = np.array(COLORS[item.color], np.float32)
    shade = color * np.float32(0.55) if color.mean() > 60 else color + np.float32(90)
    if item.texture == "striped":
        weight = ((u + v) % 6.0 < 2.6).astype(np.float32)
    elif item.texture == "dotted":
        weight = (np.hypot(u % 6.0 - 3.0, v % 6.0 - 3.0) < 1.7).astype(np.float32)
    else:
        weight = np.zeros_like(u)
    return color + weight[..., None] * (shade - color)


# Signed distances in pixels (negative inside) of each shape in the object's own frame, y pointing down.


def _circle(u: FloatArray, v: FloatArray, r: np.float32) -> FloatArray:
    return np.hypot(u, v) - r


def _square(u: FloatArray, v: FloatArray, r: np.float32) -> FloatArray:
    return np.maximum(np.abs(u), np.abs(v)) - r * np.float32(0.88)


def _triangle(u: FloatArray, v: FloatArray, r: np.float32) -> FloatArray:
    slope = np.maximum(np.abs(u) * np.float32(0.894) - (v + r) * np.float32(0.447), v - r * np.float32(0.85))
    return slope


def _star(u: FloatArray, v: FloatArray, r: np.float32) -> FloatArray:
    sector = np.float32(2 * np.pi / 5)
    theta = np.abs((np.arctan2(u, -v) + sector / 2) % sector - sector / 2)
    length = np.hypot(u, v)
    x, y = length * np.cos(theta), length * np.sin(theta)
    outer = r * np.float32(1.2)
    inner = outer * np.float32(0.45)
    tip, notch = np.array([outer, 0.0]), np.array([inner * np.cos(sector / 2), inner * np.sin(sector / 2)])
    edge = notch - tip
    normal = np.array([edge[1], -edge[0]]) / np.hypot(*edge)
    return ((x - tip[0]) * normal[0] + (y - tip[1]) * normal[1]).astype(np.float32)


def _cross(u: FloatArray, v: FloatArray, r: np.float32) -> FloatArray:
    arm, thick = r * np.float32(1.05), r * np.float32(0.38)
    upright = np.maximum(np.abs(u) - thick, np.abs(v) - arm)
    bar = np.maximum(np.abs(u) - arm, np.abs(v) - thick)
    return np.minimum(upright, bar)


def _ring(u: FloatArray, v: FloatArray, r: np.float32) -> FloatArray:
    return np.abs(np.hypot(u, v) - r * np.float32(0.76)) - r * np.float32(0.26)


_DISTANCE: dict[str, Callable[[FloatArray, FloatArray, np.float32], FloatArray]] = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "star": _star,
    "cross": _cross,
    "ring": _ring,
}
