"""Images with their caption, question and answer beneath, as the tutorial's ``visualize_results`` shows them."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:  # it brings the optimizer, which showing one picture does not need
    from blipvino.measure.comparison import Picture

WIDTH = 480
LARGEST_HEIGHT = 900
MARGIN = 16
FONT_SIZE = 18
LINE = 26


@dataclass(frozen=True)
class Line:
    """A line of text beneath an image; ``strong`` sets questions off from what the model says."""

    text: str
    strong: bool = False


def visualize(
    image: Image.Image, caption: str | None = None, question: str | None = None, answer: str | None = None
) -> Image.Image:
    """The image with what a model says of it."""
    lines = []
    if caption is not None:
        lines.append(Line(f"Caption: {caption}"))
    if question is not None:
        lines.append(Line(f"Question: {question}", strong=True))
    if answer is not None:
        lines.append(Line(f"Answer: {answer}"))
    return _compose(image, lines)


def visualize_comparison(picture: Picture, names: tuple[str, str]) -> Image.Image:
    """The image with what the original and the compressed model say of it."""
    lines = [Line(f"{name}: {text}") for name, text in zip(names, picture.captions, strict=True)]
    if picture.question is not None and picture.answers is not None:
        lines.append(Line(picture.question, strong=True))
        lines += [Line(f"{name}: {text}") for name, text in zip(names, picture.answers, strict=True)]
    return _compose(picture.image, lines)


def _compose(image: Image.Image, lines: list[Line]) -> Image.Image:
    inner = WIDTH - 2 * MARGIN
    scale = min(inner / image.width, LARGEST_HEIGHT / image.height)
    width, height = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    font = ImageFont.load_default(FONT_SIZE)
    wrapped = [(part, line.strong) for line in lines for part in textwrap.wrap(line.text, 50) or [""]]
    canvas = Image.new("RGB", (WIDTH, height + 3 * MARGIN + LINE * len(wrapped)), "white")
    shown = image.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
    canvas.paste(shown, (MARGIN + (inner - width) // 2, MARGIN))
    draw = ImageDraw.Draw(canvas)
    for number, (text, strong) in enumerate(wrapped):
        color = "#0b57d0" if strong else "#1f1f1f"
        draw.text((MARGIN, height + 2 * MARGIN + LINE * number), text, fill=color, font=font)
    return canvas
