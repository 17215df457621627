"""blipvino as a contender of its own benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from blipvino.bundle.bundle import open_bundle
from blipvino.measure.race.contender import Tokens
from blipvino.measure.race.timing import median_seconds
from blipvino.runtime.blip import Blip
from blipvino.runtime.compiling.engine_options import EngineOptions
from blipvino.runtime.features import ImageFeatures


class BlipvinoContender:
    """A bundle through `Blip`, as a user runs it: one image in mode "latency", several in mode "throughput".

    No image is remembered but the one that `prepare_image` was given.
    """

    def __init__(self, bundle: Path, options: EngineOptions) -> None:
        self._bundle = open_bundle(bundle, verify=False)
        self._options = options
        self._prepared: ImageFeatures | None = None

    def caption(self, images: Sequence[Image.Image], new_tokens: int) -> Tokens:
        """One batch."""
        blip = self._for(images)
        rows = blip.caption_ids(list(images), batch_size=len(images), **_exactly(new_tokens))
        return _without_start(blip, rows)

    def answer(self, images: Sequence[Image.Image], questions: Sequence[str], new_tokens: int) -> Tokens:
        """One batch, every image encoded anew."""
        blip = self._for(images)
        rows = blip.answer_ids(list(images), list(questions), batch_size=len(images), **_exactly(new_tokens))
        return _without_start(blip, rows)

    def prepare_image(self, image: Image.Image) -> None:
        """Encode the image, down to what the question encoder reads of it."""
        self._prepared = self._one.features(image)
        self._one.extractor.question_kv(self._prepared)

    def answer_again(self, question: str, new_tokens: int) -> Tokens:
        """Answer from the encoded image."""
        assert self._prepared is not None
        return _without_start(self._one, self._one.answer_ids(self._prepared, question, **_exactly(new_tokens)))

    def graph_seconds(self, image: Image.Image, question: str) -> dict[str, float]:
        """Seconds of each graph, and of a step over image embeddings."""
        engine, texts = self._one.engine, self._one.texts
        pixels = self._one.images.pixels([image])
        embeds = engine.image_embeds(pixels)
        seconds = {"vision": median_seconds(lambda: engine.image_embeds(pixels))}
        if self._one.config.answers_questions:
            tokens, cross = texts.questions([question]), engine.question_kv(embeds)
            ids, mask = tokens.input_ids, tokens.attention_mask
            seconds["question_kv"] = median_seconds(lambda: engine.question_kv(embeds))
            seconds["question"] = median_seconds(lambda: engine.question_states(ids, mask, cross))
        seen = np.ones(embeds.shape[:2], np.int64)
        seconds["answer_kv"] = median_seconds(lambda: engine.decode(embeds, seen))  # a decoder's start projects them
        step = engine.decode(embeds, seen)
        token, beam = np.array([texts.prompt(None)], np.int64), np.zeros(1, np.int64)
        return {**seconds, "step": median_seconds(lambda: step(token, beam))}

    def _for(self, images: Sequence[Image.Image]) -> Blip:
        return self._one if len(images) == 1 else self._many

    @cached_property
    def _one(self) -> Blip:
        return Blip.load(self._bundle, options=self._options, image_cache_bytes=0)

    @cached_property
    def _many(self) -> Blip:
        return Blip.load(self._bundle, options=replace(self._options, mode="throughput"), image_cache_bytes=0)


def _exactly(new_tokens: int) -> dict[str, Any]:
    return {"min_new_tokens": new_tokens, "max_new_tokens": new_tokens}


def _without_start(blip: Blip, rows: list[list[int]]) -> Tokens:
    return [row[len(blip.texts.prompt(None)) :] for row in rows]
