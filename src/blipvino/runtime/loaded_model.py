"""A model that runs, loaded from a bundle: what every kind of it can do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn, Self, overload

from blipvino.bundle.bundle import Bundle
from blipvino.checkpoint.config import BlipConfig
from blipvino.checks import flag, folder_path, integer, shown
from blipvino.errors import InputError
from blipvino.graphs.recipes import DEFAULT_RECIPE
from blipvino.recipe import Recipe
from blipvino.runtime.compiling.cache import default_cache
from blipvino.runtime.compiling.engine_options import EngineOptions
from blipvino.runtime.components import Components, load_components
from blipvino.runtime.engine import Engine
from blipvino.runtime.features import DEFAULT_CACHE_BYTES, FeatureExtractor, ImageFeatures
from blipvino.runtime.inputs.images import ImageProcessor
from blipvino.runtime.inputs.texts import TextProcessor
from blipvino.runtime.pairing import Image, Images, listed_images, streamed_images
from blipvino.runtime.reading import find_bundle

DEFAULT_BATCH_SIZE = 8


class LoadedModel:
    """A model, loaded from a bundle, that looks at images. Its methods may be called from several threads.

    It holds compiled graphs, so it cannot be pickled or copied deeply: another process loads the bundle itself.

    Args:
        components: what it runs with; `load` builds them.
    """

    def __init__(self, components: Components) -> None:
        self.components = components

    @property
    def bundle(self) -> Bundle:
        """The bundle that it was loaded from."""
        return self.components.bundle

    @property
    def config(self) -> BlipConfig:
        """The model's sizes, and what it can do."""
        return self.components.config

    @property
    def images(self) -> ImageProcessor:
        """Images to pixels."""
        return self.components.images

    @property
    def texts(self) -> TextProcessor:
        """Texts to tokens and back."""
        return self.components.texts

    @property
    def engine(self) -> Engine:
        """The compiled graphs."""
        return self.components.engine

    @property
    def extractor(self) -> FeatureExtractor:
        """Images to features, and the cache of those."""
        return self.components.extractor

    @classmethod
    def load(
        cls,
        bundle: str | Path | Bundle,
        *,
        options: EngineOptions | None = None,
        image_cache_bytes: int = DEFAULT_CACHE_BYTES,
        verify: bool = True,
    ) -> Self:
        """Load a bundle that `optimize` wrote.

        Args:
            bundle: its folder, or the bundle opened (and so verified) already.
            options: how its graphs are compiled.
            image_cache_bytes: memory for what is known of images that were shown before; an image of BLIP-base takes
                1.8 MB, and 11 MB more (8-bit recipes; 43 MB with "none") once questions were asked or texts matched. 0
                keeps nothing.
            verify: check the SHA-256 of every file that is read against the manifest: of all files now, but with
                ``options.cache`` of a graph's files when it is compiled; one compiled before is not read.

        Raises:
            BundleError: the folder is no bundle, is damaged, or was written by another version of the format.
            InputError: an argument is of another type or out of its range, or the bundle is run by another class.
        """
        if not isinstance(options, EngineOptions | None):
            raise InputError(f"options are {shown(options)}, expected EngineOptions(…)")
        cache_bytes = integer("image_cache_bytes", image_cache_bytes, 0)
        verify = flag("verify", verify) and not isinstance(bundle, Bundle)
        opened = bundle if isinstance(bundle, Bundle) else find_bundle(folder_path("bundle", bundle))
        cls._check_kind(opened.manifest.architecture, opened.folder)
        return cls(load_components(opened, options or EngineOptions(), cache_bytes, verify))

    @classmethod
    def _check_kind(cls, architecture: str, place: str | Path) -> None:
        """Refuse a checkpoint or a bundle that another class runs.

        Raises:
            InputError: it is one.
        """

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        recipe: str | Recipe = DEFAULT_RECIPE,
        revision: str | None = None,
        token: str | None = None,
        photos: Sequence[str | Path] | None = None,
        cache: str | Path | None = None,
        options: EngineOptions | None = None,
        show_progress: bool = True,
    ) -> Self:
        """Load a checkpoint: the first time it is optimized into a bundle in the cache, afterwards that is loaded.

        A checkpoint that has changed, another recipe and another version of blipvino, OpenVINO or NNCF have bundles of
        their own. Of two processes that want the same one makes it, and the other waits. Where the hub cannot be
        reached, what was loaded last is loaded.

        Args:
            source: a hub id, a checkpoint's folder, or "demo"; a bundle's folder is loaded as it is.
            recipe: as `optimize` takes it.
            revision: branch, tag or commit on the hub.
            token: access token for the hub; its own settings by default.
            photos: image files like those to come: 32 of them or more are calibrated on when the checkpoint is
                optimized, else pictures that are generated.
            cache: folder of bundles and compiled graphs; the user's own by default, see ``docs/cache.md``.
            options: how graphs are compiled; by default compiled graphs are kept in the cache.
            show_progress: show on standard error what is done.

        Raises:
            BlipvinoError: as `optimize` and `load`.
        """
        # By name: to optimize is of a floor above, on which no module here may stand.
        optimized_once = import_module("blipvino.pretrained.optimized_once")
        folder = default_cache() if cache is None else folder_path("cache", cache)
        given = None if photos is None else list(photos)
        wanted = optimized_once.Wanted(
            *(recipe, revision, token),
            photos=None if given is None else lambda: given,
            check=lambda architecture: cls._check_kind(architecture, source),
        )
        show_progress = flag("show_progress", show_progress)
        bundle: Bundle = optimized_once.bundle_of(source, wanted, cache=folder, show_progress=show_progress)
        compiled = EngineOptions(cache=folder) if options is None else options
        return cls.load(bundle.folder, options=compiled)

    def __copy__(self) -> Self:
        """Another one with the same graphs, cache and lock."""
        return type(self)(self.components)

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled, which ``copy.deepcopy`` would do too.

        Raises:
            InputError: always; compiled graphs belong to their process.
        """
        name = type(self).__name__
        raise InputError(
            f"a {name} cannot be pickled or copied deeply, since it holds compiled graphs; "
            f"pass on the path of its bundle, {self.bundle.folder}, and load that there with {name}.load()"
        )

    @overload
    def features(self, images: Image) -> ImageFeatures: ...  # type: ignore[overload-overlap]  # str is a Sequence, too

    @overload
    def features(self, images: Sequence[Image]) -> list[ImageFeatures]: ...

    def features(self, images: Images) -> ImageFeatures | list[ImageFeatures]:
        """What the model sees in an image, or in each of several; to be given instead of the image.

        Texts about it then cost the text alone, however many come between.

        Raises:
            ImageError: an image cannot be read.
            InputError: they are more images than memory holds the features of.
        """
        several, sources = listed_images(images)
        features = self.components.runner.features(sources)
        return features if several else features[0]

    def feature_stream(
        self, images: Iterable[Image], *, batch_size: int = DEFAULT_BATCH_SIZE
    ) -> Iterator[list[ImageFeatures]]:
        """Features of any number of images, a batch at a time and in order.

        While a batch is worked on, the next one is looked at, and the images of the one after are read and resized.

        Raises:
            ImageError: an image cannot be read; raised when its turn comes.
            InputError: the images are no sequence or iterator, or ``batch_size`` is not allowed.
        """
        size = integer("batch_size", batch_size, 1)
        return self.components.runner.feature_stream(streamed_images(images), size)
