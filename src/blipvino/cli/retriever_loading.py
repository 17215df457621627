"""The model that `index` and `search` have in common: how it is found, and how its graphs are compiled."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from blipvino.cli.given_bundle import bundle_folder
from blipvino.cli.options import Arithmetic, Precision, engine_options, usable_cache
from blipvino.cli.unused_options import refuse_unused
from blipvino.errors import BundleError

if TYPE_CHECKING:
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
    """

    bundle: Path | None
    precision: Precision
    arithmetic: Arithmetic
    device: str
    cache: Path
    no_cache: bool

    def load(self, context: typer.Context, index: Path) -> BlipRetriever:
        """The model; of the bundle that an index was made with, where no other is given.

        Raises:
            BlipvinoError: there is neither an index nor a bundle, or the bundle cannot be loaded.
        """
        from blipvino.retrieval.index_manifest import IndexManifest, is_index
        from blipvino.runtime.reading import find_bundle
        from blipvino.runtime.retriever import BlipRetriever

        if self.no_cache:
            refuse_unused(context, ("cache",), "with --no-cache")
        manifest = IndexManifest.read(index) if is_index(index) else None
        source = self.bundle
        if source is None:
            if manifest is None:
                raise IndexManifest.missing(index)
            source = Path(manifest.bundle.source)
        try:
            bundle = find_bundle(source if self.bundle is None else bundle_folder(source, cache=self.cache))
        except BundleError as error:
            if self.bundle is not None:
                raise
            raise BundleError(f"{error}; {index} was made with it: say with --bundle where it is now") from error
        if manifest is not None:
            manifest.check_bundle(bundle, index)  # before the seconds that loading it takes
        engine = engine_options(self.precision, self.arithmetic, device=self.device)
        cache = usable_cache(self.cache, self.no_cache)
        return BlipRetriever.load(bundle.folder, options=replace(engine, cache=cache))
