"""Hugging Face datasets: of the hub, in its layout on disk, or as ``save_to_disk`` writes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from blipvino.batch.batch_rows import InputRow
from blipvino.batch.row_source import Partition
from blipvino.batch.sources.list_columns import ListColumns
from blipvino.data.dataset_library import (
    IMAGE_COLUMNS,
    DatasetName,
    open_saved_splits,
    open_splits,
    undecoded,
    unreadable,
)
from blipvino.errors import DataError

PREFIX = "hf:"
_STRETCH = 512
"""Rows of a partition, where they can be reached one by one."""
_MOST_PARTITIONS = 1024
"""Of a dataset that is streamed: one of a million image files has as many shards."""


@dataclass(frozen=True)
class DatasetStretch:
    """Rows of a dataset.

    Attributes:
        dataset: of `datasets`, these rows alone.
        columns: all that are read, by what they are for.
        name: of the dataset, for errors.
        prefix: of the ids of rows that have none of their own: the number of each row follows.
        first: number of the first row.
        key: see `Partition.key`.
    """

    dataset: Any
    columns: Mapping[str, str]
    name: str
    prefix: str
    first: int
    key: str | None

    def rows(self) -> Iterator[InputRow]:
        """See `Partition.rows`."""
        for number, record in enumerate(self._records(self.dataset), start=self.first):
            yield self._row(record, number)

    def ids(self) -> Iterator[str]:
        """See `Partition.ids`."""
        if "id" not in self.columns and self.key is None:
            yield from (f"{self.prefix}{number}" for number in range(self.first, self.first + len(self.dataset)))
            return
        least = next(self.columns[role] for role in ("id", "question", "image", "content") if role in self.columns)
        for number, record in enumerate(self._records(self.dataset.select_columns([least])), start=self.first):
            yield self._id(record, number)

    def _records(self, dataset: Any) -> Iterator[Mapping[str, Any]]:
        try:
            yield from dataset
        except Exception as error:  # the library and the network under it have no common base class
            raise unreadable(self.name.removeprefix(PREFIX), error) from error

    def _id(self, record: Mapping[str, Any], number: int) -> str:
        if "id" not in self.columns:
            return f"{self.prefix}{number}"
        found = record[self.columns["id"]]
        if found is None:
            raise DataError(
                f"{self.name}: row {self.prefix}{number} has no {self.columns['id']!r}; every row needs one"
            )
        return str(found)

    def _row(self, record: Mapping[str, Any], number: int) -> InputRow:
        name = self._id(record, number)
        values = {role: record[column] for role, column in self.columns.items()}
        question, image = values.get("question"), values.get("image")
        asked = question if isinstance(question, str) and question.strip() else None
        if isinstance(image, Mapping):  # as it is stored
            image = image.get("bytes") or image.get("path")
        value = image if image is not None else values.get("content")
        if value is None:
            return InputRow(name, None, asked, f"{name}: has no image")
        if not isinstance(value, str | bytes):
            return InputRow(name, None, asked, f"{name}: has a {type(value).__name__}, expected an image")
        return InputRow(name, value, asked)


@dataclass(frozen=True)
class DatasetRows:
    """A split of a Hugging Face dataset.

    A row's id is its number in the split, and where the dataset is streamed, the number of its shard and that in it,
    unless a column has it.

    Attributes:
        text: ``hf:NAME[,CONFIG][@SPLIT]``; the name may be a folder's.
        columns: to take; the image's is by default the first that holds images.
    """

    text: str
    columns: ListColumns

    @property
    def name(self) -> str:
        """What was given, a folder by its absolute path, and the columns that are named."""
        given, found = DatasetName.parse(self.text.removeprefix(PREFIX)).dataset, Path(self._dataset.dataset)
        text = self.text.replace(given, str(found.absolute()), 1) if found.is_dir() else self.text
        return self.columns.of_list(text)

    @property
    def lists_quickly(self) -> bool:
        """Where it can be reached row by row."""
        return open_saved_splits(Path(self._dataset.dataset)) is not None

    def partitions(self) -> Iterator[Partition]:
        """See `Source.partitions`."""
        dataset = self._dataset
        saved = open_saved_splits(Path(dataset.dataset))
        splits = open_splits(dataset) if saved is None else saved
        rows = undecoded(splits[dataset.choose(splits)])
        columns = self._columns(rows)
        rows = rows.select_columns(sorted(set(columns.values())))
        if saved is not None:
            for first in range(0, len(rows), _STRETCH):
                stretch = rows.select(range(first, min(first + _STRETCH, len(rows))))
                yield DatasetStretch(stretch, columns, self.text, "", first, None)
            return
        count = min(rows.num_shards, _MOST_PARTITIONS)
        for number in range(count):
            shard = rows.shard(num_shards=count, index=number)
            yield DatasetStretch(shard, columns, self.text, f"{number}/", 0, f"{self.text}/{number}")

    @property
    def _dataset(self) -> DatasetName:
        name = DatasetName.parse(self.text.removeprefix(PREFIX))
        folder = Path(name.dataset).expanduser()  # after "hf:" the shell leaves "~" alone
        return replace(name, dataset=str(folder)) if folder.is_dir() else name

    def _columns(self, rows: Any) -> dict[str, str]:
        """The column of each role that there is.

        Raises:
            DataError: one that is named is missing, or there are no images.
        """
        there = _column_names(rows, self.text)
        columns = self.columns
        if columns.image is None and columns.content is None:
            of_images = [name for name, kind in (rows.features or {}).items() if type(kind).__name__ == "Image"]
            columns = replace(
                columns, image=next((name for name in (*of_images, *IMAGE_COLUMNS) if name in there), None)
            )
        return columns.found_in(there, self.text)


def _column_names(rows: Any, name: str) -> list[str]:
    """The columns of a split; of one that does not tell them, those of its first row."""
    if rows.column_names is not None:
        return list(rows.column_names)
    try:
        return list(next(iter(rows), {}))
    except Exception as error:  # as above
        raise unreadable(name.removeprefix(PREFIX), error) from error
