"""The bundles that measurements take: folders, which are opened and verified, or bundles that are opened already.

So whoever measures several things of a bundle opens it once and hands it on, and its files are hashed once.
"""

from __future__ import annotations

from pathlib import Path

from blipvino.bundle.bundle import Bundle, open_bundle


def opened_bundle(bundle: str | Path | Bundle) -> Bundle:
    """The bundle, opened and verified.

    Raises:
        BundleError: the folder is no bundle, or is damaged.
    """
    return bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
