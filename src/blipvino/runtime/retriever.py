"""`BlipRetriever`: which texts go with which images, from a bundle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from blipvino.arrays import FloatArray
from blipvino.checkpoint.architectures import FOR_RETRIEVAL, retrieves
from blipvino.checks import flag, integer
from blipvino.errors import InputError
from blipvino.progress import Reporter
from blipvino.runtime.inputs.texts import listed_texts
from blipvino.runtime.loaded_model import DEFAULT_BATCH_SIZE, LoadedModel
from blipvino.runtime.pairing import Image, Images, listed_images, streamed_images

TEXT_BATCH_SIZE = 32


class BlipRetriever(LoadedModel):
    """A BLIP model for retrieval, loaded from a bundle. Its methods may be called from several threads.

    Embeddings find: those of an image and of a text that go together have a large inner product. Matching decides: it
    looks at image and text together, which costs a pass through the text encoder a pair, and is the better judge.

    What every model does is in `LoadedModel`: `load`, `features`, `feature_stream`.
    """

    def embed_images(
        self, images: Images, *, batch_size: int = DEFAULT_BATCH_SIZE, show_progress: bool = False
    ) -> FloatArray:
        """The embedding of an image, or of each of several.

        While a batch is embedded, the images of the next ones are read and resized.

        Args:
            images: one image, or a sequence of them; `ImageFeatures` too.
            batch_size: images that are held together.
            show_progress: show a progress bar on standard error.

        Returns:
            float32 ``[P]`` of one image, ``[N, P]`` of a sequence; each of length 1.

        Raises:
            ImageError: an image cannot be read.
            InputError: an argument is not allowed.
        """
        size, reporter = integer("batch_size", batch_size, 1), Reporter(flag("show_progress", show_progress))
        several, sources = listed_images(images)
        embeddings = self.components.retrieval.embed_images(sources, size, reporter)
        return embeddings if several else embeddings[0]

    def image_embed_stream(
        self, images: Iterable[Image], *, batch_size: int = DEFAULT_BATCH_SIZE
    ) -> Iterator[FloatArray]:
        """Embeddings of any number of images, float32 ``[n, P]`` a batch at a time and in order.

        While a batch is worked on, the next one is embedded, and the images of the one after are read and resized.

        Raises:
            ImageError: an image cannot be read; raised when its turn comes.
            InputError: the images are no sequence or iterator, or ``batch_size`` is not allowed.
        """
        size = integer("batch_size", batch_size, 1)
        return self.components.retrieval.image_embed_stream(streamed_images(images), size)

    def embed_texts(
        self, texts: str | Sequence[str], *, batch_size: int = TEXT_BATCH_SIZE, show_progress: bool = False
    ) -> FloatArray:
        """The embedding of a text, or of each of several.

        Args:
            texts: one text, or a sequence of them.
            batch_size: texts that are embedded together.
            show_progress: show a progress bar on standard error.

        Returns:
            float32 ``[P]`` of one text, ``[N, P]`` of a sequence; each of length 1.

        Raises:
            InputError: a text or an argument is not allowed.
        """
        size, reporter = integer("batch_size", batch_size, 1), Reporter(flag("show_progress", show_progress))
        tokens = self._tokens(texts)
        embeddings = self.components.retrieval.embed_texts(tokens, size, reporter)
        return embeddings[0] if isinstance(texts, str) else embeddings

    def match(
        self,
        images: Images,
        texts: str | Sequence[str],
        *,
        batch_size: int = TEXT_BATCH_SIZE,
        show_progress: bool = False,
    ) -> FloatArray:
        """How probable it is that a text fits an image, for every image and every text.

        An image's part in it is computed once and kept with its features, see `features`.

        Args:
            images: one image, or a sequence of them; `ImageFeatures` too.
            texts: one text, or a sequence of them.
            batch_size: texts that are looked at together.
            show_progress: show a progress bar on standard error.

        Returns:
            float32 ``[T]`` of one image, ``[N, T]`` of a sequence; one text in place of a sequence leaves ``T`` out.

        Raises:
            ImageError: an image cannot be read.
            InputError: a text or an argument is not allowed.
        """
        logits = self.match_logits(images, texts, batch_size=batch_size, show_progress=show_progress)
        with np.errstate(over="ignore"):  # of a pair that cannot fit: its probability is 0
            odds = np.exp(logits[..., 0].astype(np.float64) - logits[..., 1])
        return np.asarray(1 / (1 + odds), np.float32)

    def match_logits(
        self,
        images: Images,
        texts: str | Sequence[str],
        *,
        batch_size: int = TEXT_BATCH_SIZE,
        show_progress: bool = False,
    ) -> FloatArray:
        """As `match`, but logits: a last dimension of 2, "does not fit" and "fits".

        Raises:
            ImageError: an image cannot be read.
            InputError: a text or an argument is not allowed.
        """
        size, reporter = integer("batch_size", batch_size, 1), Reporter(flag("show_progress", show_progress))
        several, sources = listed_images(images)
        tokens = self._tokens(texts)
        logits = self.components.retrieval.match(sources, tokens, size, reporter)
        logits = logits[:, 0] if isinstance(texts, str) else logits
        return logits if several else logits[0]

    @classmethod
    def _check_kind(cls, architecture: str, place: str | Path) -> None:
        if not retrieves(architecture):
            raise InputError(
                f"{place}: this model generates texts, and finds and matches none: load it with Blip.load(); "
                f"retrieval needs a checkpoint such as {FOR_RETRIEVAL}"
            )

    def _tokens(self, texts: str | Sequence[str]) -> list[list[int]]:
        listed = [texts] if isinstance(texts, str) else listed_texts("texts", texts)
        return [self.texts.statement(text) for text in listed]
