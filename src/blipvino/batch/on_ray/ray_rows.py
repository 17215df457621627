"""Rows as they travel between the nodes of a cluster: tables of Arrow, with pixels once an image is read."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa

from blipvino.arrays import Pixels
from blipvino.batch.batch_rows import InputRow
from blipvino.batch.stages.row_at_work import ReadImage
from blipvino.batch.stages.row_reader import Read
from blipvino.errors import ImageError
from blipvino.runtime.scheduling.jobs import SharedImage

ID = "id"
"""The column that tells rows apart, from the source to the shard: what a job that is resumed passes over."""
_LISTED = pa.schema([(ID, pa.string()), ("row", pa.large_binary())])
_READ = pa.schema(
    [
        (ID, pa.string()),
        ("row", pa.large_binary()),
        ("texts", pa.large_binary()),
        ("embeddings", pa.large_binary()),
        ("milliseconds", pa.float64()),
        ("error", pa.string()),
    ]
)


def listed_table(rows: Iterable[InputRow]) -> pa.Table:
    """Rows whose images are not read yet."""
    listed = list(rows)
    columns = {ID: [row.id for row in listed], "row": [pickle.dumps(row) for row in listed]}
    return pa.table(columns, schema=_LISTED)


def listed_rows(table: pa.Table) -> Iterator[InputRow]:
    """The rows of such a table."""
    for packed in table.column("row"):
        row: InputRow = pickle.loads(packed.as_buffer())
        yield row


def read_table(rows: Iterable[tuple[InputRow, Read]]) -> pa.Table:
    """Rows whose images are read: their pixels take the place of the bytes of their files."""
    columns: dict[str, list[object]] = {name: [] for name in _READ.names}
    for row, found in rows:
        read = found if isinstance(found, ReadImage) else None
        columns[ID].append(row.id)
        columns["row"].append(pickle.dumps(replace(row, image=row.location)))
        columns["texts"].append(_bytes(None if read is None or read.texts is None else read.texts.pixels))
        columns["embeddings"].append(_bytes(None if read is None else read.pixels))
        columns["milliseconds"].append(None if read is None else read.milliseconds)
        columns["error"].append(str(found) if read is None else None)
    return pa.table(columns, schema=_READ)


def read_rows(table: pa.Table) -> Iterator[tuple[InputRow, Read]]:
    """The rows of such a table. Those about one file that follow one another share its image."""
    last: tuple[str, Read] | None = None
    columns = [table.column(name) for name in ("texts", "embeddings", "milliseconds", "error")]
    for place, row in enumerate(listed_rows(table)):
        if last is None or row.location is None or last[0] != row.location:
            texts, embeddings, milliseconds, error = (column[place] for column in columns)
            found: Read
            if error.is_valid:
                found = ImageError(error.as_py())
            else:
                pixels = _pixels(texts)
                shared = None if pixels is None else SharedImage(pixels)
                found = ReadImage(shared, _pixels(embeddings), milliseconds.as_py())
            last = (row.location or "", found)
        yield row, last[1]


def _bytes(pixels: Pixels | None) -> bytes | None:
    return None if pixels is None else pixels.tobytes()


def _pixels(packed: pa.LargeBinaryScalar) -> Pixels | None:
    """Pixels ``[size, size, 3]``, as they lie in the node's memory of objects."""
    if not packed.is_valid:
        return None
    flat = np.frombuffer(packed.as_buffer(), np.uint8)
    size = round((len(flat) / 3) ** 0.5)
    return flat.reshape(size, size, 3)
