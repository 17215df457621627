"""Lists of images as text: JSON objects, one a line, and CSV."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import TextIOWrapper
from typing import TextIO

from blipvino.batch.batch_rows import InputRow
from blipvino.batch.sources.file_places import Place
from blipvino.batch.sources.list_columns import ListColumns, ListRecords
from blipvino.batch.sources.listed_rows import ListedRows, cut_rows
from blipvino.errors import DataError

JSON_LINES = frozenset({".jsonl", ".ndjson"})
TABLES = {".csv": ",", ".tsv": "\t"}
"""The suffixes of tables, and what parts their columns."""


@dataclass(frozen=True)
class TextList:
    """A list of images in a text file in UTF-8.

    Attributes:
        place: of the file.
        columns: what they are called.
    """

    place: Place
    columns: ListColumns = field(default_factory=ListColumns)

    def partitions(self) -> Iterator[ListedRows]:
        """Stretches of the list.

        Raises:
            DataError: it cannot be read, or has not the columns that are named.
        """
        rows = self._lines if self.place.suffix in JSON_LINES else self._records
        with (
            self.place.open() as opened,
            TextIOWrapper(opened, encoding="utf-8-sig", errors="surrogateescape", newline="") as file,
        ):
            yield from cut_rows(rows(file))

    def _lines(self, file: TextIO) -> Iterator[InputRow]:
        made = ListRecords(self.place.name, self.place.folder)
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                yield InputRow(made.made_up(number), None, error=f"{made.made_up(number)}: not JSON ({error})")
                continue
            if not isinstance(record, dict):
                yield InputRow(made.made_up(number), None, error=f"{made.made_up(number)}: no JSON object")
                continue
            yield made.row(record, self.columns.names, number)

    def _records(self, file: TextIO) -> Iterator[InputRow]:
        made = ListRecords(self.place.name, self.place.folder)
        csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # images in Base64 are longer than the usual limit
        records = csv.DictReader(file, delimiter=TABLES[self.place.suffix])
        try:
            columns = self.columns.found_in(records.fieldnames or [], str(self.place))
            for number, record in enumerate(records, 1):
                yield made.row(record, columns, number)
        except csv.Error as error:
            raise DataError(f"{self.place}: line {records.line_num} is no CSV ({error})") from error
