"""The bundles that measurements take: folders, which are opened and verified, or bundles that are opened already.

So whoever measures several things of a bundle opens it once and hands it on, and its files are hashed once.
"""

from __future__ import annotations

from pathlib import Path

from blipvino.bundle.bundle import Bundle, open_bundle
from blipvino.runtime.reading import read_config, read_text_length


def opened_bundle(bundle: str | Path | Bundle) -> Bundle:
    """The bundle, opened and verified.

    Raises:
        BundleError: the folder is no bundle, or is damaged.
    """
    return bundle if isinstance(bundle, Bundle) else open_bundle(bundle)


def new_tokens(bundle: Bundle, asked: int | None) -> int:
    """Tokens of a text at the most: as many as are asked for, else the checkpoint's own number.

    Raises:
        BundleError: the bundle is damaged.
    """
    if asked is not None:
        return asked
    start_token = 1
    return read_text_length(bundle).new_tokens(start_token, read_config(bundle).text.max_position_embeddings)
