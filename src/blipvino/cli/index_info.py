"""What an index of photos holds as text."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import typer

from blipvino.cli import output
from blipvino.text.units import counted


def print_index_info(folder: Path, as_json: bool) -> None:
    """Print what an index holds.

    Raises:
        RetrievalError: it is damaged or newer.
    """
    from blipvino.retrieval.photo_index import PhotoIndex

    with PhotoIndex(folder) as index:
        manifest, counts, roots = index.manifest, index.counts(), index.roots()
    if as_json:
        content = {**asdict(manifest), "counts": asdict(counts), "folders": [str(root) for root in roots]}
        output.print_json({"index": str(folder), **content})
        return
    bundle = manifest.bundle
    photos = counted(counts.photos, "photo")
    unreadable = f", {counts.unreadable:,} that cannot be read" if counts.unreadable else ""
    typer.echo(f"{folder}: an index of {photos}, {counts.images:,} of them different{unreadable}")
    typer.echo(f"folders: {', '.join(map(str, roots)) or 'none'}")
    place = "" if bundle.source == bundle.checkpoint else f", in {bundle.source}"
    typer.echo(f"looked at by: {bundle.label} of {bundle.checkpoint}{place}; vectors of {manifest.width} numbers")
    typer.echo(f"made by: blipvino {manifest.blipvino_version}, at {manifest.created}")
