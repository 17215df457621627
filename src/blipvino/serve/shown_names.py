"""Names of this machine's files as clients may know them: nothing of where they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from blipvino.retrieval.photo_search import Hit
from blipvino.text.printable import printable


def shown_hit(hit: Hit, folders: Sequence[Path]) -> Hit:
    """A photo that was found, with paths below the folders that were indexed.

    Args:
        hit: with its files' places.
        folders: of the index. Where there are several, the name of its folder stands before a path.
    """
    return replace(hit, path=_below(hit.path, folders), copies=tuple(_below(copy, folders) for copy in hit.copies))


def shown_checkpoint(name: str) -> str:
    """What a bundle was made of: a hub's id as it is, of a path the last part."""
    return printable(Path(name).name if Path(name).is_absolute() else name)


def _below(path: Path, folders: Sequence[Path]) -> Path:
    inside = [folder for folder in folders if path.is_relative_to(folder)]
    if not inside:  # the index was changed meanwhile
        return Path(printable(path.name))
    folder = max(inside, key=lambda each: len(each.parts))
    below = path.relative_to(folder)
    return Path(printable(str(Path(folder.name, below) if len(folders) > 1 else below)))
