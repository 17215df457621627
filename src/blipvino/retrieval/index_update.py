"""Bringing an index of photos up to date, by one process at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from blipvino.checks import folder_path
from blipvino.errors import OutputError, RetrievalError
from blipvino.files.atomic import new_folder
from blipvino.retrieval.embedder import ImageEmbedder
from blipvino.retrieval.index_lock import writing
from blipvino.retrieval.index_manifest import IndexManifest, is_index
from blipvino.retrieval.neighbours import drop_strange, update_neighbours
from blipvino.retrieval.photo_records import PhotoRecords
from blipvino.retrieval.update_work import IndexSummary, UpdateOptions, update_records


def update_index(
    index: str | Path,
    folders: Sequence[str | Path],
    model: ImageEmbedder,
    *,
    source: str | None = None,
    options: UpdateOptions | None = None,
) -> IndexSummary:
    """Bring an index up to date with folders of photos; it is made where there is none.

    Only what is new or changed is looked at. What is embedded is kept batch by batch: whenever the process ends, and
    however, the next update goes on from there.

    Args:
        index: its folder.
        folders: to look into, with all below them; none are all those that the index has, as far as they are there.
        model: a `BlipRetriever`.
        source: where `blipvino search` finds the model, by default its bundle's folder.
        options: how.

    Raises:
        RetrievalError: the index is damaged or newer, is another bundle's, or another process is writing it; a folder
            that is given is not there, or not one of its photos is.
        OutputError: the index cannot be made.
    """
    folder = folder_path("index", index)
    given = [folder_path("folder", each) for each in folders]
    place = source or str(model.bundle.folder.resolve())
    if not is_index(folder):
        for each in given:
            if not each.is_dir():
                raise RetrievalError(f"{each}: {'is no folder' if each.exists() else 'no such folder'}")
        if not given:
            raise RetrievalError(f"{folder}: no such index; give the folders whose photos shall be in a new one")
        _create(folder, IndexManifest.of(model.bundle, place, model.config.image_text_hidden_size))
    manifest = IndexManifest.read(folder)
    manifest.check_bundle(model.bundle, folder)
    with _writable(folder) as records:
        if manifest.bundle.source != place:
            replace(manifest, bundle=replace(manifest.bundle, source=place)).write(folder)
        drop_strange(folder, records, manifest.width)
        summary = update_records(records, manifest.width, given, model, options or UpdateOptions())
        update_neighbours(folder, records, manifest.width)
    return summary


def forget_folder(index: str | Path, folder: str | Path) -> int:
    """Take a folder's photos out of an index. The files themselves stay as they are.

    Args:
        index: its folder.
        folder: whose photos, with all below it; it need not be there any more.

    Returns:
        How many files were taken out.

    Raises:
        RetrievalError: the index has none of it, is damaged or newer, or another process is writing it.
    """
    target, gone = folder_path("index", index), folder_path("folder", folder).resolve()
    IndexManifest.read(target)
    with _writable(target) as records:
        if not records.has_some_of(gone):
            roots = ", ".join(map(str, records.roots())) or "none"
            raise RetrievalError(f"{target}: has no photos of {folder}; its folders are {roots}")
        return records.forget(gone)


def _create(folder: Path, manifest: IndexManifest) -> None:
    """Make an index without photos, whole or not at all."""
    try:
        with new_folder(folder) as partial:
            PhotoRecords.create(partial)
            manifest.write(partial)
    except OutputError:
        if not is_index(folder):  # another process may have been faster: its index is as good
            raise


@contextmanager
def _writable(folder: Path) -> Iterator[PhotoRecords]:
    """The records of an index, for the one process that writes it."""
    with writing(folder):
        records = PhotoRecords.open(folder, write=True)
        try:
            with records.refusals():
                yield records
        finally:
            records.close()
