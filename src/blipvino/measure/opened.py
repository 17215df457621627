"""The bundles that measurements take: folders, which are opened and verified, or bundles that are opened already.

So whoever measures several things of a bundle opens it once and hands it on, and its files are hashed once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from blipvino.bundle.bundle import Bundle, open_bundle
from blipvino.optimization.original import check_weights, open_original
from blipvino.progress import Reporter


def opened_bundle(bundle: str | Path | Bundle) -> Bundle:
    """The bundle, opened and verified.

    Raises:
        BundleError: the folder is no bundle, or is damaged.
    """
    return bundle if isinstance(bundle, Bundle) else open_bundle(bundle)


@contextmanager
def opened_original(original: str | Path | Bundle | None, compressed: Bundle, reporter: Reporter) -> Iterator[Bundle]:
    """The original of a bundle, as `blipvino.optimization.original.open_original` finds or makes it.

    Raises:
        BlipvinoError: it cannot be read or made, or its weights are not those that the compressed bundle came from.
    """
    if isinstance(original, Bundle):
        check_weights(compressed, original.manifest.source.name, original.manifest.source.sha256)
        yield original
        return
    with open_original(original, compressed, reporter) as made:
        yield made
