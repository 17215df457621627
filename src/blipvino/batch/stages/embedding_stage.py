"""Embeddings of the images of rows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice

from blipvino.batch.stages.row_at_work import RowAtWork
from blipvino.runtime.retriever import BlipRetriever


class EmbeddingStage:
    """Embeds images, batch after batch.

    Args:
        retriever: the model.
        batch_size: images of a batch.
    """

    def __init__(self, retriever: BlipRetriever, batch_size: int) -> None:
        self._retriever = retriever
        self._batch_size = batch_size

    def run(self, rows: Iterator[RowAtWork]) -> Iterator[RowAtWork]:
        """Give rows their embeddings."""
        while batch := list(islice(rows, self._batch_size)):
            began = time.perf_counter()
            readable = [(row, row.image.pixels) for row in batch if row.image and row.image.pixels is not None]
            if readable:
                features = self._retriever.extractor.encode([pixels for _, pixels in readable])
                embeddings = self._retriever.embed_images(features, batch_size=self._batch_size)
                for (row, _), embedding in zip(readable, embeddings, strict=True):
                    row.made["embedding"] = embedding.tolist()
                    row.compute_ms += 1000 * (time.perf_counter() - began)
            yield from batch
