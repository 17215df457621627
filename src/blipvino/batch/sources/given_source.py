"""The source that a job is given on the command line."""

from __future__ import annotations

import os
from pathlib import Path

from blipvino.batch.remote_files import is_url
from blipvino.batch.row_source import Source
from blipvino.batch.sources.dataset_rows import PREFIX, DatasetRows
from blipvino.batch.sources.file_places import ends_in, suffix_of
from blipvino.batch.sources.list_columns import ListColumns
from blipvino.batch.sources.list_files import LISTS, ListFiles
from blipvino.batch.sources.photo_files import PhotoFiles
from blipvino.batch.sources.remote_images import RemoteImages
from blipvino.batch.sources.tar_shards import TAR_SUFFIXES, TarShards
from blipvino.errors import DataError, InputError
from blipvino.photos.listing import STANDARD_INPUT, is_pattern


def given_source(given: str, columns: ListColumns | None = None, output: str | None = None) -> Source:
    """A source, by what its name begins with and ends in.

    Args:
        given: ``hf:`` and a dataset; or path, URL or pattern of images, a folder, lists or tar shards.
        columns: of lists, of samples in tar shards, of a dataset.
        output: path or URL of the folder that the job writes: lists that a pattern finds there are passed over.

    Raises:
        DataError: there is no such thing.
        InputError: columns of something that has none.
    """
    columns = columns or ListColumns()
    if given in ("", STANDARD_INPUT):
        raise InputError(f"--input is {given!r}, expected a place that can be read again: a folder, a pattern, a list")
    if given.startswith(PREFIX) and not is_url(given):
        return DatasetRows(given, columns)
    if not Path(given).is_dir():
        if ends_in(given, TAR_SUFFIXES):
            return TarShards(given, columns)
        if suffix_of(given) in LISTS:
            if not is_url(given) and not any(letter in given for letter in "{*?[") and not Path(given).is_file():
                raise DataError(f"{given}: no such list; check the path")
            return ListFiles(given, columns, output)
    if columns.named:
        raise InputError(f"{given} is no list, and has no columns: leave --{next(iter(columns.named))} out")
    if is_url(given):
        return RemoteImages(given)
    if not os.path.lexists(given) and not is_pattern(given):
        raise DataError(f"{given}: no such folder, image or list; check the path")
    return PhotoFiles(given)
