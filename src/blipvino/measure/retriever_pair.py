"""A bundle for retrieval and its original, and what of them is timed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from PIL import Image

from blipvino.arrays import FloatArray
from blipvino.bundle.bundle import Bundle
from blipvino.data import Sample
from blipvino.measure.cost import Task
from blipvino.runtime.features import ImageFeatures
from blipvino.runtime.retriever import BlipRetriever


@dataclass(frozen=True)
class RetrieverPair:
    """Two models for retrieval, and the calls that are timed."""

    original: BlipRetriever
    compressed: BlipRetriever

    def tasks(self, samples: Sequence[Sample]) -> Iterator[Task]:
        """Whole calls: of an image, of a text, and of a text about an image that is known already."""
        about = [(sample, sample.captions[0]) for sample in samples if sample.captions]
        yield Task("embedding an image", self._embed_image, [(sample,) for sample in samples])
        yield Task("embedding a text", self._embed_text, about)
        yield Task("matching", self._match, about, self._see)

    def _of(self, which: int) -> BlipRetriever:
        return (self.original, self.compressed)[which]

    def _embed_image(self, which: int, image: Image.Image) -> FloatArray:
        return self._of(which).embed_images(image)

    def _embed_text(self, which: int, image: Image.Image, text: str) -> FloatArray:
        return self._of(which).embed_texts(text)

    def _see(self, which: int, image: Image.Image) -> ImageFeatures:
        """The image's features, with the keys and values that every text reads."""
        features = self._of(which).features(image)
        self._of(which).extractor.match_kv(features)
        return features

    def _match(self, which: int, image: ImageFeatures, text: str) -> FloatArray:
        return self._of(which).match(image, text)


def load_retrievers(original: Bundle, compressed: Bundle) -> RetrieverPair:
    """Load two bundles for retrieval as they run by default on this machine, but that they remember no image.

    Raises:
        BundleError: one cannot be loaded.
    """
    return RetrieverPair(*(BlipRetriever.load(bundle, image_cache_bytes=0) for bundle in (original, compressed)))
