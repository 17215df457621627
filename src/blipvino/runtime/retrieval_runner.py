"""Any number of images and texts, batch after batch, to embeddings and matches."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing

import numpy as np

from blipvino.arrays import FloatArray
from blipvino.checkpoint.config import BlipConfig
from blipvino.progress import Reporter
from blipvino.runtime.batches import BatchRunner, batch_slices
from blipvino.runtime.features import FeatureExtractor, ImageFeatures
from blipvino.runtime.inputs.texts import TextProcessor
from blipvino.runtime.limits import Limits
from blipvino.runtime.pairing import Image

Tokens = Sequence[list[int]]
"""Token ids of each text, not padded."""


class RetrievalRunner:
    """Has embeddings and matches made of what a call is about, batch by batch.

    Its calls may come from several threads; they take turns batch by batch.

    Args:
        extractor: images to features; the engine is its.
        batches: of features.
        texts: that pad texts.
        limits: of what is taken.
        config: of the model.
    """

    def __init__(
        self,
        extractor: FeatureExtractor,
        batches: BatchRunner,
        texts: TextProcessor,
        limits: Limits,
        config: BlipConfig,
    ) -> None:
        self._extractor = extractor
        self._engine = extractor.engine
        self._batches = batches
        self._texts = texts
        self._limits = limits
        self._positions = config.vision.num_positions
        self._width = config.image_text_hidden_size

    def embed_images(self, images: Sequence[Image], batch_size: int, reporter: Reporter) -> FloatArray:
        """Embeddings ``[N, P]`` of images, read ahead while the ones before are embedded.

        Raises:
            ImageError: an image cannot be read.
            InputError: the batches that are held at a time are too large for memory.
        """
        made = self.image_embed_stream(iter(images), min(batch_size, max(1, len(images))))
        with closing(made):
            places = batch_slices(len(images), batch_size, "Embedding images", reporter)
            return self._stacked([rows for _, rows in zip(places, made, strict=True)])

    def image_embed_stream(self, images: Iterator[Image], batch_size: int) -> Generator[FloatArray]:
        """Embeddings ``[n, P]`` of batch after batch, read ahead. An unreadable image raises when its turn comes.

        Raises:
            InputError: the batches that are held at a time are too large for memory.
        """
        return self._embedded(self._batches.feature_stream(images, batch_size))

    def _embedded(self, batches: Generator[list[ImageFeatures]]) -> Generator[FloatArray]:
        with closing(batches):
            for batch in batches:
                with self._engine.lock:
                    rows = [self._engine.image_embedding(features.image_embeds[None]) for features in batch]
                yield self._stacked(rows)

    def embed_texts(self, tokens: Tokens, batch_size: int, reporter: Reporter) -> FloatArray:
        """Embeddings ``[N, P]`` of texts; those of like length are embedded together.

        Raises:
            InputError: memory does not allow that many texts at a time.
        """
        self._check_texts(tokens, batch_size, 0)
        embeddings = np.empty((len(tokens), self._width), np.float32)
        for places in _alike(tokens, batch_size, "Embedding texts", reporter):
            batch = self._texts.batch([tokens[place] for place in places])
            with self._engine.lock:
                embeddings[places] = self._engine.text_embedding(batch.input_ids, batch.attention_mask)
        return embeddings

    def match(self, images: Sequence[Image], tokens: Tokens, batch_size: int, reporter: Reporter) -> FloatArray:
        """Logits ``[N, T, 2]`` of "does not fit" and "fits" for every image and every text.

        Raises:
            ImageError: an image cannot be read.
            InputError: features that another bundle made, or memory does not allow that many texts at a time.
        """
        self._check_texts(tokens, batch_size, self._positions)
        logits = np.empty((len(images), len(tokens), 2), np.float32)
        for place, image in enumerate(reporter.track(images, "Matching", len(images))):
            (features,) = self._extractor.extract([image])
            for places in _alike(tokens, batch_size, "", Reporter(False)):
                batch = self._texts.batch([tokens[number] for number in places])
                with self._engine.lock:
                    source = self._extractor.match_kv(features)
                    logits[place, places] = self._engine.match(batch.input_ids, batch.attention_mask, source)
        return logits

    def _check_texts(self, tokens: Tokens, batch_size: int, positions: int) -> None:
        self._limits.check_texts(min(batch_size, len(tokens)), max(map(len, tokens), default=0), positions)

    def _stacked(self, rows: Sequence[FloatArray]) -> FloatArray:
        return np.concatenate([np.empty((0, self._width), np.float32), *rows])


def _alike(tokens: Tokens, size: int, description: str, reporter: Reporter) -> Iterator[list[int]]:
    """The places of each batch of texts of like length: one short text is not padded to a long one."""
    order = sorted(range(len(tokens)), key=lambda place: len(tokens[place]))
    return (order[batch] for batch in batch_slices(len(order), size, description, reporter))
