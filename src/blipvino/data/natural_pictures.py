"""Generated pictures with the statistics of photographs: for calibration where no photographs are at hand.

What a network makes of a photograph depends on more than its subject: how much of the contrast lies at which scale, how
sharp edges are beside even areas, how colours go together, what is clipped to black and white. Pictures that have these
in common with photographs can stand in for them: Baradad et al. ("Learning to See by Looking at Noise", 2021) train
whole networks on such. Here a picture is a ground and things before one another, in layers, seen through a camera:

- **Spectra** of textures fall as 1/f^a, with a around 1 (Field, "Relations between the statistics of natural images and
  the response properties of cortical cells", 1987), rough in one place and smooth in another (Wainwright and
  Simoncelli, "Scale mixtures of Gaussians and the statistics of natural images", 1999).
- **Dead leaves**, shapes of all sizes by an inverse cubic law that hide one another, have the edges and even areas that
  noise lacks (Lee, Mumford and Huang, "Occlusion models for natural images", 2001).
- **Colours** vary most in lightness, less from blue to yellow, least from red to green, independently of one another in
  logarithms (Ruderman, Cronin and Chiao, "Statistics of cone responses to natural images", 1998); strong ones are rare.
- **Gradients** of light, brighter above more often than not.
- **Text-like strokes** on plates, as on signs, pages and screens.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from blipvino.arrays import DoubleArray, IntArray, Pixels

SIZES = ((512, 384), (512, 341), (512, 512), (384, 512), (341, 512))
"""Widths and heights of pictures: models see them smaller, as they do photographs."""
MIDDLE_GREY = 0.18
"""Share of the light that a camera makes a middle grey of."""
GAMMA = 2.2
"""Of the display."""

_BLACK = 0.01
"""Share of the light that does not show."""
_OPPONENTS = np.array([[1.0, 1.0, 1.0], [0.9, 0.1, -1.0], [0.8, -0.7, 0.0]])
"""Logarithms of red, green and blue by lightness, yellowness and redness."""
_SMALLEST, _LARGEST = 0.012, 0.5
"""Radius of a leaf, in parts of a picture's longer side."""
_CORNERS = np.array([3, 4, 4, 4, 5, 6, 16, 16, 16])
"""Of a leaf's outline, drawn by lot; 16 are an ellipse."""


@dataclass(frozen=True)
class Camera:
    """How light becomes pixels.

    Attributes:
        exposure: what the middle of the scene's light comes to, 1 being white.
        contrast: standard deviation of the light's logarithm.
        saturation: standard deviation of yellowness, in the same terms; redness has half of it.
        cast: yellowness and redness of the light.
        grain: standard deviation of the sensor's noise, in grey levels.
    """

    exposure: float
    contrast: float
    saturation: float
    cast: tuple[float, float]
    grain: float

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Camera:
        """One of those that take photographs: most are exposed for middle grey, one in twelve has no colours."""
        colours = 0.0 if rng.random() < 1 / 12 else float(rng.lognormal(np.log(0.4), 0.5))
        cast = rng.normal(0, (0.5, 0.2)) * colours
        return cls(
            exposure=MIDDLE_GREY * 2 ** float(rng.normal(-0.3, 0.7)),
            contrast=float(rng.uniform(0.6, 1.4)),
            saturation=colours,
            cast=(float(cast[0]), float(cast[1])),
            grain=float(rng.exponential(2.0)),
        )


def natural_picture(seed: int, size: tuple[int, int] | None = None, camera: Camera | None = None) -> Pixels:
    """One picture. The same arguments give the same one.

    Args:
        seed: of all that is drawn by lot.
        size: width and height in pixels; one of `SIZES` by default.
        camera: by default drawn too.

    Returns:
        uint8 ``[height, width, 3]``, RGB.
    """
    rng = np.random.default_rng(seed)
    drawn_size = SIZES[rng.integers(len(SIZES))]
    drawn_camera = Camera.drawn(rng)
    return _exposed(_scene(size or drawn_size, rng), camera or drawn_camera, rng)


def one_over_f(size: tuple[int, int], exponent: float, rng: np.random.Generator) -> DoubleArray:
    """Noise whose amplitude falls with frequency as ``1 / f ** exponent``, ``[height, width]``, mean 0, variance 1."""
    width, height = size
    frequencies = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    frequencies[0, 0] = np.inf
    noise = rng.standard_normal((2, *frequencies.shape))
    values = np.fft.irfft2((noise[0] + 1j * noise[1]) * frequencies**-exponent, (height, width))
    return _standardized(values)


def _scene(size: tuple[int, int], rng: np.random.Generator) -> DoubleArray:
    """Lightness, yellowness and redness, ``[height, width, 3]``, about as large as 1 each."""
    textures = np.stack([one_over_f(size, exponent, rng) for exponent in rng.uniform((0.6, 0.9), (0.9, 1.4))])
    textures *= np.exp(rng.uniform(0.4, 1.0) * one_over_f(size, 1.5, rng))  # rough here, smooth there
    scene = np.zeros((size[1], size[0], 3))
    scene += one_over_f(size, rng.uniform(1.4, 2.0), rng)[..., None] * rng.normal(0, (0.7, 0.7, 0.5))
    scene[..., 0] += _gradient(size, rng) * rng.uniform(0, 1.5) + textures[0] * rng.exponential(0.3)
    far, near = rng.integers(10, 200), int(2 ** rng.uniform(3, 9.5))
    _strew(scene, int(far), textures, rng)
    if rng.random() < 0.5:
        scene = _blurred(scene, 1 + rng.exponential(4))  # what is far is out of focus
    _strew(scene, near, textures, rng)
    for _ in range(rng.choice(4, p=(0.6, 0.25, 0.1, 0.05))):
        _write(scene, rng)
    scene[..., 0] += _gradient(size, rng) * rng.uniform(0, 0.8) + one_over_f(size, 1.6, rng) * rng.uniform(0, 0.4)
    return scene


def _gradient(size: tuple[int, int], rng: np.random.Generator) -> DoubleArray:
    """Light that falls off to one side, ``[height, width]``, from -1 to 1: downwards more often than not."""
    angle = rng.normal(-np.pi / 2, 0.7)
    columns, rows = (np.linspace(-1, 1, length) for length in size)
    slope = np.cos(angle) * columns[None] + np.sin(angle) * rows[:, None]
    return np.asarray(slope / np.abs(slope).max())


def _strew(scene: DoubleArray, count: int, textures: DoubleArray, rng: np.random.Generator) -> None:
    """Lay leaves over the scene, each with a colour and a share of a texture of its own."""
    height, width, _ = scene.shape
    number = _leaf_numbers((width, height), count, rng)
    lightness = rng.normal(0, 1.2, count)
    colours = rng.laplace(0, 1, (count, 2)) * np.array([1.0, 0.8])
    colour = np.column_stack([lightness, colours])[number - 1]
    rough = rng.exponential(0.25, count)[number - 1]
    chosen = rng.integers(len(textures), size=count)[number - 1]
    colour[..., 0] += rough * np.take_along_axis(textures, chosen[None], 0)[0]
    covered = number > 0
    scene[covered] = colour[covered]


def _leaf_numbers(size: tuple[int, int], count: int, rng: np.random.Generator) -> IntArray:
    """Which leaf is seen where, from 1, int ``[height, width]``; 0 where there is none."""
    canvas = Image.new("I", size)
    draw = ImageDraw.Draw(canvas)
    side = max(size)
    spread = 1 - (_SMALLEST / _LARGEST) ** 2
    radii = side * _SMALLEST / np.sqrt(1 - spread * rng.random(count))
    centres = rng.random((count, 2)) * size
    stretches = rng.uniform(0.25, 1, count)
    turns = rng.uniform(0, 2 * np.pi, count) * (rng.random(count) < 0.7)  # many things are upright
    for leaf, corners in enumerate(rng.choice(_CORNERS, count)):
        angles = 2 * np.pi * (np.arange(corners) + 0.5) / corners
        outline = radii[leaf] * np.stack([np.cos(angles), stretches[leaf] * np.sin(angles)])
        cos, sin = np.cos(turns[leaf]), np.sin(turns[leaf])
        points = centres[leaf] + (np.array([[cos, -sin], [sin, cos]]) @ outline).T
        draw.polygon([(x, y) for x, y in points.tolist()], fill=leaf + 1)
    return np.asarray(canvas).astype(np.int64)


def _write(scene: DoubleArray, rng: np.random.Generator) -> None:
    """Put a plate with lines of text-like strokes on the scene, dark on bright or bright on dark."""
    height, width, _ = scene.shape
    across, down = (int(length * rng.uniform(0.15, 0.7)) for length in (width, height))
    left, top = rng.integers(width - across), rng.integers(height - down)
    ink = Image.new("L", (across, down))
    draw = ImageDraw.Draw(ink)
    letter = max(4, int(down * rng.uniform(0.05, 0.4)))
    for y in range(letter // 2, down - letter, int(1.6 * letter)):
        x = letter // 2
        while x < across - letter:
            if rng.random() < 0.82:  # else the gap between two words
                _draw_letter(draw, x, y, letter, rng)
            x += int(0.8 * letter)
    share = (np.asarray(ink) / 255)[..., None]
    paper, pen = (rng.normal((lightness, 0, 0), (0.3, 0.5, 0.5)) for lightness in rng.permutation([1.5, -1.8]))
    scene[top : top + down, left : left + across] = share * pen + (1 - share) * paper


def _draw_letter(draw: ImageDraw.ImageDraw, x: int, y: int, size: int, rng: np.random.Generator) -> None:
    """Two to four strokes between the corners and middles of a cell, or a bow."""
    right, thickness = x + 0.6 * size, max(1, size // 7)
    places = [(a, b) for a in (x, (x + right) / 2, right) for b in (y, y + size / 2, y + size)]
    for start, end in rng.integers(len(places), size=(rng.integers(2, 5), 2)):
        draw.line([places[start], places[end]], fill=255, width=thickness)
    if rng.random() < 0.4:
        draw.arc((x, y, right, y + size), 0, int(rng.integers(120, 360)), fill=255, width=thickness)


def _blurred(scene: DoubleArray, radius: float) -> DoubleArray:
    """Without what is finer than so many pixels."""
    height, width, _ = scene.shape
    small = (max(1, int(width / radius)), max(1, int(height / radius)))
    channels = [Image.fromarray(channel.astype(np.float32)) for channel in np.moveaxis(scene, -1, 0)]
    coarse = [channel.resize(small, Image.Resampling.BOX) for channel in channels]
    smooth = [np.asarray(channel.resize((width, height), Image.Resampling.BICUBIC)) for channel in coarse]
    return np.stack(smooth, -1).astype(np.float64)


def _exposed(scene: DoubleArray, camera: Camera, rng: np.random.Generator) -> Pixels:
    """What a camera makes of a scene: too much light is white."""
    varied = np.concatenate([_standardized(scene[..., :1]), scene[..., 1:]], -1)
    scales = np.array([camera.contrast, camera.saturation, camera.saturation / 2])
    logarithms = (varied * scales + np.array([0.0, *camera.cast])) @ _OPPONENTS
    light = np.maximum(np.exp(logarithms) * camera.exposure - _BLACK, 0)
    shown = 255 * light ** (1 / GAMMA)
    shown += rng.normal(0, 1, shown.shape) * camera.grain
    return np.clip(np.rint(shown), 0, 255).astype(np.uint8)


def _standardized(values: DoubleArray) -> DoubleArray:
    """The same with mean 0 and variance 1; all 0 where there is no variance."""
    return np.asarray((values - values.mean()) / max(float(values.std()), 1e-9))
