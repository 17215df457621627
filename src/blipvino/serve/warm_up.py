"""Compiling the graphs of a model before the first request needs them."""

from __future__ import annotations

from typing import Any

import numpy as np

from blipvino.runtime.blip import Blip
from blipvino.runtime.loaded_model import LoadedModel
from blipvino.runtime.retriever import BlipRetriever

_TEXTS = ("what is it?", "what is it that stands there beside the other one on the left?")
"""Of the two lengths that most questions have; each has a graph of its own where it is asked alone."""
_SHORT: dict[str, Any] = {"max_new_tokens": 2}


def warm_up(model: LoadedModel) -> None:
    """Have a model do all that it can once: one text alone, and two side by side.

    Raises:
        BlipvinoError: its bundle is damaged.
    """
    size = model.config.vision.image_size
    blank = np.full((size, size, 3), 127, np.uint8)
    if isinstance(model, BlipRetriever):
        model.embed_images([blank])
        for texts in (_TEXTS[:1], _TEXTS[1:], _TEXTS):
            model.embed_texts(texts)
            model.match(blank, texts)
        return
    assert isinstance(model, Blip)
    model.caption(blank, batch_size=1, **_SHORT)
    model.caption([blank, blank], **_SHORT)
    if model.config.answers_questions:
        for text in _TEXTS:
            model.answer(blank, text, batch_size=1, **_SHORT)
        model.answer(blank, list(_TEXTS), **_SHORT)
        model.rank(blank, _TEXTS[0], ["yes", "no"])
