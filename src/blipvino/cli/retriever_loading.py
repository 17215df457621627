"""The model that `index` and `search` have in common: how it is found, and how its graphs are compiled."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from blipvino.cli.given_bundle import bundle_folder
from blipvino.cli.options import Arithmetic, Precision, engine_options, usable_cache
from blipvino.cli.unused_options import refuse_unused
from blipvino.demo import resolve
from blipvino.errors import BlipvinoError, BundleError

if TYPE_CHECKING:
    from blipvino.bundle.bundle import Bundle
    from blipvino.runtime.compiling.engine_options import EngineOptions
    from blipvino.runtime.retriever import BlipRetriever


@dataclass(frozen=True)
class ModelOptions:
    """How a model for retrieval is loaded.

    Attributes:
        bundle: a bundle or a checkpoint; None is the bundle that an index was made with.
        precision: arithmetic of what is not quantized.
        arithmetic: of quantized graphs.
        device: what computes.
        cache: for compiled graphs.
        no_cache: keep none.
        quiet: whether optimizing a checkpoint shows no progress.
    """

    bundle: Path | None
    precision: Precision
    arithmetic: Arithmetic
    device: str
    cache: Path
    no_cache: bool
    quiet: bool = False

    def load(self, context: typer.Context, index: Path) -> BlipRetriever:
        """The model; of the bundle that an index was made with, where no other is given.

        Raises:
            BlipvinoError: there is neither an index nor a bundle, or the bundle cannot be loaded.
        """
        from blipvino.runtime.retriever import BlipRetriever

        return BlipRetriever.load(self.find(context, index).folder, options=self.engine())

    def find(self, context: typer.Context, index: Path) -> Bundle:
        """Its bundle, opened.

        Raises:
            BlipvinoError: there is neither an index nor a bundle.
        """
        from blipvino.retrieval.index_manifest import IndexManifest, is_index
        from blipvino.runtime.reading import find_bundle

        if self.no_cache:
            refuse_unused(context, ("cache",), "with --no-cache")
        manifest = IndexManifest.read(index) if is_index(index) else None
        if self.bundle is not None:
            bundle = find_bundle(self._folder(self.bundle))
        elif manifest is not None:
            bundle = self._recorded(manifest.bundle.source, index)
        else:
            raise IndexManifest.missing(index)
        if manifest is not None:
            manifest.check_bundle(bundle, index)  # before the seconds that loading it takes
        return bundle

    def engine(self) -> EngineOptions:
        """How its graphs are compiled."""
        engine = engine_options(self.precision, self.arithmetic, device=self.device)
        return replace(engine, cache=usable_cache(self.cache, self.no_cache))

    def source(self, index: Path) -> str:
        """What an index records, to find the model by: the bundle's folder, or the checkpoint as it was given.

        A checkpoint's bundle is in the cache, where it may be removed; of the checkpoint it is made again.

        Raises:
            RetrievalError: there is no bundle, and the index is damaged.
        """
        from blipvino.pretrained.checkpoint_state import named_path
        from blipvino.retrieval.index_manifest import IndexManifest

        if self.bundle is None:
            return IndexManifest.read(index).bundle.source
        given = str(self.bundle)
        if resolve(given) != given:  # an embedded checkpoint's name
            return given
        folder = named_path(given)
        return str(folder.resolve()) if folder.is_dir() else given

    def _folder(self, given: Path) -> Path:
        """The bundle's folder; a checkpoint of another kind is not optimized first."""
        from blipvino.runtime.retriever import BlipRetriever

        return bundle_folder(given, quiet=self.quiet, cache=self.cache, check=BlipRetriever._check_kind)

    def _recorded(self, source: str, index: Path) -> Bundle:
        """The bundle that an index records."""
        from blipvino.runtime.reading import find_bundle

        place = Path(source)
        try:
            # A folder that has gone is no id of the hub.
            gone = place.is_absolute() and not place.exists()
            return find_bundle(place if gone else self._folder(place))
        except BlipvinoError as error:
            raise BundleError(f"{error}; {index} was made with it: say with --bundle where it is now") from error
