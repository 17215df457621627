"""What the model sees in an image, kept so that further texts about it cost the text alone."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from blipvino.arrays import FloatArray, Pixels
from blipvino.checks import shown
from blipvino.errors import InputError
from blipvino.runtime.decoding.cross_kv import CrossKV
from blipvino.runtime.engine import Engine
from blipvino.runtime.inputs.images import ImageProcessor, ImageSource

DEFAULT_CACHE_BYTES = 128 * 2**20


@dataclass(eq=False)
class ImageFeatures:
    """An image as the model sees it. The model that made it takes it wherever it takes an image.

    Attributes:
        image_embeds: float32 ``[S, D]``, read-only: later texts about the image are made of it.
        model: fingerprint of the bundle that made it; others refuse it.
    """

    image_embeds: FloatArray
    model: str
    _text_kv: CrossKV | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Take the array without the right to write to it.

        Raises:
            InputError: it is no array, or ``model`` is no text.
        """
        if not isinstance(self.image_embeds, np.ndarray):
            raise InputError(f"image_embeds are {shown(self.image_embeds)}, expected a float32 array [S, D]")
        if not isinstance(self.model, str):
            raise InputError(f"model is {shown(self.model)}, expected the fingerprint of a bundle (str)")
        if self.image_embeds.flags.writeable:
            self.image_embeds = self.image_embeds.view()
            self.image_embeds.flags.writeable = False

    @property
    def nbytes(self) -> int:
        """Bytes of memory. The first question or text adds the text encoder's keys and values."""
        return self.image_embeds.nbytes + (self._text_kv.nbytes if self._text_kv else 0)


class FeatureCache:
    """The features that were used last, by image content, within a limit of bytes.

    Attributes:
        nbytes: of what is kept.
        hits: times that what was asked for was known.
        misses: times that it was not.
    """

    def __init__(self, limit: int) -> None:
        self.hits = self.misses = self.nbytes = 0
        self._limit = limit
        self._known: OrderedDict[bytes, ImageFeatures] = OrderedDict()
        self._counted: dict[ImageFeatures, int] = {}  # bytes of each that `nbytes` has

    def get(self, key: bytes) -> ImageFeatures | None:
        """What is known under this key, which is now the one used last."""
        found = self.find(key)
        self.misses += found is None
        return found

    def find(self, key: bytes) -> ImageFeatures | None:
        """As `get`, but what is not known is not counted: it will be asked for again."""
        if key in self._known:
            self._known.move_to_end(key)
            self.hits += 1
        return self._known.get(key)

    def put(self, key: bytes, features: ImageFeatures) -> None:
        """Keep features in place of what was kept under this key; those that were not used for longest go."""
        if key in self._known:
            self.nbytes -= self._counted.pop(self._known.pop(key))
        self._known[key] = features
        self._counted[features] = 0
        self.recount(features)

    def recount(self, features: ImageFeatures) -> None:
        """Count features again, which grow when they are first asked about, and keep to the limit.

        They may be none that are kept.
        """
        if features in self._counted:
            self.nbytes += features.nbytes - self._counted[features]
            self._counted[features] = features.nbytes
        while self._known and self.nbytes > self._limit:
            _, oldest = self._known.popitem(last=False)
            self.nbytes -= self._counted.pop(oldest)


class FeatureExtractor:
    """Images to features, each distinct image once. Its calls may come from several threads; they take turns.

    Args:
        engine: that runs `vision` and projects keys and values.
        images: that reads and resizes images.
        model: fingerprint of the bundle.
        cache: of what is known of images; no other extractor's.
        shape: ``[S, D]`` of an image's embeddings, which given features must have; None takes any.
    """

    def __init__(
        self,
        engine: Engine,
        images: ImageProcessor,
        model: str,
        cache: FeatureCache,
        shape: tuple[int, int] | None = None,
    ) -> None:
        self.engine = engine
        self.images = images
        self.cache = cache
        self._model = model
        self._shape = shape
        self._lock = threading.Lock()  # of the cache
        self._vision_lock = threading.Lock()

    def extract(self, sources: Sequence[ImageSource | ImageFeatures]) -> list[ImageFeatures]:
        """Features of images in any form.

        Raises:
            ImageError: an image cannot be read.
            InputError: features that another bundle made.
        """
        distinct = {id(source): source for source in sources}
        unknown = [source for source in distinct.values() if not isinstance(source, ImageFeatures)]
        encoded = self.encode(list(self.images.pixels(unknown))) if unknown else []
        features = dict(zip(map(id, unknown), encoded, strict=True))
        return [
            self._checked(source) if isinstance(source, ImageFeatures) else features[id(source)] for source in sources
        ]

    def encode(self, pixels: Sequence[Pixels]) -> list[ImageFeatures]:
        """Features of resized images ``[size, size, 3]``, from the cache or by `vision`."""
        keys = [pixels_digest(image) for image in pixels]
        with self._lock:
            known = {key: features for key in keys if (features := self.cache.get(key)) is not None}
        new = {key: image for key, image in zip(keys, pixels, strict=True) if key not in known}
        if new:
            with self._vision_lock:
                known |= self._looked(new)
        return [known[key] for key in keys]

    def recall(self, pixels: Pixels) -> ImageFeatures | None:
        """Features of a resized image, if it is known; it is not waited for what others look at."""
        return self.known(pixels_digest(pixels))

    def known(self, digest: bytes) -> ImageFeatures | None:
        """Features of the resized image with this `pixels_digest`, if it is known."""
        with self._lock:
            return self.cache.find(digest)

    def _looked(self, images: dict[bytes, Pixels]) -> dict[bytes, ImageFeatures]:
        """Features of images that were not known, of which others may have looked at some meanwhile."""
        with self._lock:
            known = {key: features for key in images if (features := self.cache.find(key)) is not None}
        new = {key: image for key, image in images.items() if key not in known}
        if new:
            embeds = self.engine.image_embeds(np.stack(list(new.values())))
            # Copies, so that keeping one image does not keep the batch that it came with.
            kept = (_read_only(embed.copy()) for embed in embeds)
            made = {key: ImageFeatures(embed, self._model) for key, embed in zip(new, kept, strict=True)}
            known |= made
            with self._lock:
                for key, features in made.items():
                    self.cache.put(key, features)
        return known

    def question_kv(self, features: ImageFeatures) -> CrossKV:
        """An image's keys and values in the question encoder, made at its first question and kept with its features."""
        return self._text_kv(features, self.engine.question_kv)

    def match_kv(self, features: ImageFeatures) -> CrossKV:
        """An image's keys and values where texts are matched with it, made for its first text and kept likewise."""
        return self._text_kv(features, self.engine.match_kv)

    def _text_kv(self, features: ImageFeatures, project: Callable[[FloatArray], CrossKV]) -> CrossKV:
        """What is projected of an image. The features grow by it, so the cache is brought back to its limit at once."""
        with self.engine.lock:
            if features._text_kv is None:
                features._text_kv = project(features.image_embeds[None]).read_only()
                with self._lock:
                    self.cache.recount(features)
            return features._text_kv

    def _checked(self, features: ImageFeatures) -> ImageFeatures:
        """Given features, which this model must have made.

        Raises:
            InputError: they are another bundle's or of another shape.
        """
        if features.model != self._model:
            raise InputError("these ImageFeatures were made by another bundle; make them with this one's features()")
        embeds = features.image_embeds
        if self._shape is not None and (embeds.shape != self._shape or embeds.dtype != np.float32):
            raise InputError(
                f"these ImageFeatures have image_embeds {embeds.dtype} {list(embeds.shape)}, expected float32 "
                f"{list(self._shape)}; make them with features()"
            )
        return features


def pixels_digest(pixels: Pixels) -> bytes:
    """What a resized image ``[size, size, 3]`` is known by: SHA-256 of its content."""
    return hashlib.sha256(pixels.tobytes()).digest()


def _read_only(array: FloatArray) -> FloatArray:
    """The array itself, which cannot be written to from now on."""
    array.flags.writeable = False
    return array
