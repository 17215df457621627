"""The source that a job is given on the command line."""

from __future__ import annotations

import os
from pathlib import Path

from blipvino.batch.row_source import Source
from blipvino.batch.sources.list_columns import ListColumns
from blipvino.batch.sources.parquet_list import ParquetList
from blipvino.batch.sources.photo_files import PhotoFiles
from blipvino.batch.sources.text_lists import JSON_LINES, TABLES, TextList
from blipvino.errors import DataError, InputError
from blipvino.photos.listing import STANDARD_INPUT, is_pattern

PARQUET = frozenset({".parquet", ".pq"})


def given_source(given: str, columns: ListColumns | None = None) -> Source:
    """A source, by what its name ends in.

    Args:
        given: a folder, an image, a pattern, or a list: ``.jsonl``, ``.csv``, ``.tsv`` or ``.parquet``.
        columns: of a list.

    Raises:
        DataError: there is no such thing.
        InputError: columns of something that is no list.
    """
    columns = columns or ListColumns()
    path, suffix = Path(given), Path(given).suffix.lower()
    if given in ("", STANDARD_INPUT):
        raise InputError(f"--input is {given!r}, expected a place that can be read again: a folder, a pattern, a list")
    if suffix in JSON_LINES | TABLES.keys() | PARQUET and not path.is_dir():
        if not path.is_file():
            raise DataError(f"{given}: no such list; check the path")
        return ParquetList(path, columns) if suffix in PARQUET else TextList(path, columns)
    if columns.named:
        raise InputError(f"{given} is no list, and has no columns: leave --{next(iter(columns.named))} out")
    if not os.path.lexists(given) and not is_pattern(given):
        raise DataError(f"{given}: no such folder, image or list; check the path")
    return PhotoFiles(given)
