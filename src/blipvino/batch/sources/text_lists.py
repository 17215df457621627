"""Lists of images as text: JSON objects, one a line, and CSV."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import TextIOWrapper
from itertools import chain, islice
from typing import Any, TextIO

from blipvino.batch.batch_rows import InputRow
from blipvino.batch.sources.file_places import Place
from blipvino.batch.sources.list_columns import ListColumns, ListRecords
from blipvino.batch.sources.listed_rows import ListedRows, cut_rows
from blipvino.errors import DataError

JSON_LINES = frozenset({".jsonl", ".ndjson"})
_LOOKED_AT = 32
"""Records of JSON at the beginning in which columns are looked for: what none of them has is a mistake."""
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
        found = ((number, _parsed(line)) for number, line in enumerate(file, 1) if line.strip())
        first = list(islice(found, _LOOKED_AT))
        there = {name: None for _, record in first if isinstance(record, dict) for name in record}
        if there:
            self.columns.found_in(list(there), str(self.place))
        elif first and not any(isinstance(record, dict) for _, record in first):
            raise DataError(
                f"{self.place}: none of its first lines is a JSON object ({first[0][1]}); expected one a line, in UTF-8"
            )
        for number, record in chain(first, found):
            if isinstance(record, dict):
                yield made.row(record, self.columns.names, number)
            else:
                yield InputRow(made.made_up(number), None, error=f"{made.made_up(number)}: {record}")

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


def _parsed(line: str) -> dict[str, Any] | str:
    """The record of a line, or what is wrong with it."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        return f"not JSON ({error})"
    return record if isinstance(record, dict) else "no JSON object"
