"""Compiling the graphs of a model before the first request needs them."""

from __future__ import annotations

from typing import Any

import numpy as np

from blipvino.runtime.blip import Blip
from blipvino.runtime.loaded_model import LoadedModel
from blipvino.runtime.retriever import BlipRetriever

_TEXTS = (
    "what is it?",
    "what is the thing on the left?",
    "what is it that stands there beside the other one on the left?",
)
"""Of the lengths that most questions have; each has graphs of its own where it is asked alone."""
_SHADES = (107, 127, 147)
"""Of images: questions about so many may be read together."""
_SHORT: dict[str, Any] = {"max_new_tokens": 2}


def warm_up(model: LoadedModel) -> None:
    """Have a model do all that it can once: one text alone, several side by side, and about several images.

    Raises:
        BlipvinoError: its bundle is damaged.
    """
    size = model.config.vision.image_size
    blanks = [np.full((size, size, 3), shade, np.uint8) for shade in _SHADES]
    blank = blanks[0]
    if isinstance(model, BlipRetriever):
        model.embed_images([blank])
        for texts in (*((text,) for text in _TEXTS), _TEXTS):
            model.embed_texts(texts)
            model.match(blank, texts)
        return
    assert isinstance(model, Blip)
    model.caption(blank, batch_size=1, **_SHORT)
    model.caption(blanks, **_SHORT)
    if model.config.answers_questions:
        for text in _TEXTS:
            model.answer(blank, text, batch_size=1, **_SHORT)
        model.answer(blank, list(_TEXTS), **_SHORT)
        model.answer(blanks, _TEXTS[0], **_SHORT)
        model.rank(blank, _TEXTS[0], ["yes", "no"])
