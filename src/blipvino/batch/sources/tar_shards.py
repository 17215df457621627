"""Tar shards as WebDataset has them: files that lie together and have a name in common are one sample."""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from blipvino.batch.batch_rows import InputRow
from blipvino.batch.row_source import Partition
from blipvino.batch.sources.file_places import Place, absolute, list_places
from blipvino.batch.sources.list_columns import ListColumns
from blipvino.batch.sources.tar_members import TarMembers
from blipvino.errors import DataError
from blipvino.photos.listing import has_image_suffix

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_MEMBER = re.compile(r"(?P<key>(?:.*/)?[^./]+)\.(?P<part>[^/]*)")
_LOOKED_AT = 16
"""Samples of the first shard in which columns are looked for: what is missing there is a mistake."""


@dataclass
class _Sample:
    """What lies together.

    Attributes:
        key: what its members' names have in common, without the folder ``./``.
        contents: of members, by what comes after the key's full stop, in small letters; None of those not read.
    """

    key: str
    contents: dict[str, bytes | None] = field(default_factory=dict)


@dataclass(frozen=True)
class TarShard:
    """A tar file, read from its beginning to its end.

    Attributes:
        place: of the file.
        columns: what to take from a sample.
    """

    place: Place
    columns: ListColumns

    @property
    def key(self) -> str | None:
        """The shard's name: its rows cannot be passed over without being read."""
        return self.place.name

    def rows(self) -> Iterator[InputRow]:
        """See `Partition.rows`."""
        with closing(self._samples(read=True)) as samples:
            for sample in samples:
                yield self._row(sample)

    def ids(self) -> Iterator[str]:
        """See `Partition.ids`."""
        if self.columns.id is not None:
            yield from (row.id for row in self.rows())
            return
        with closing(self._samples(read=False)) as samples:
            for sample in samples:
                yield f"{self.place.name}/{sample.key}"

    def check(self) -> None:
        """Look whether the first samples have the columns that are asked for.

        Raises:
            DataError: none has one of them, or the file cannot be read.
        """
        with closing(self._samples(read=True)) as samples:
            there = set[str]()
            for sample in islice(samples, _LOOKED_AT):
                there |= {*sample.contents, *_readable_fields(sample)}
        for option, column in self.columns.named.items():
            if there and not {column, column.lower()} & there:
                raise DataError(
                    f"{self.place}: no sample at its beginning has {column!r} (--{option}); they have "
                    f"{', '.join(sorted(there))}"
                )

    def _samples(self, *, read: bool) -> Generator[_Sample]:
        """The samples; their members only with what is to be read of them."""
        with self.place.open() as file:
            members = TarMembers(file, str(self.place), seekable=not read and not self.place.is_remote)
            sample: _Sample | None = None
            for member in members:
                named = _MEMBER.fullmatch(member.name.removeprefix("./"))
                if named is None or member.isdir():
                    continue
                key, part = named["key"], named["part"].lower()
                if sample is None or sample.key != key or part in sample.contents:
                    if sample is not None:
                        yield sample
                    sample = _Sample(key)
                # A link stands for another member, which has gone by.
                wanted = read and member.isreg() and self._reads(part, sample)
                sample.contents[part] = members.read(member) if wanted else None
            if sample is not None:
                yield sample

    def _reads(self, part: str, sample: _Sample) -> bool:
        columns = self.columns
        texts = [column for column in (columns.id, columns.question) if column is not None]
        if part in map(str.lower, texts) or (texts and _is_json(part)):
            return True
        return self._image_part([*sample.contents, part]) == part

    def _image_part(self, parts: Iterable[str]) -> str | None:
        """Which part of a sample is its image."""
        asked = self.columns.image or self.columns.content
        return next((part for part in parts if (part == asked.lower() if asked else _is_image(part))), None)

    def _row(self, sample: _Sample) -> InputRow:
        name, columns = f"{self.place.name}/{sample.key}", self.columns
        try:
            texts = _texts(sample, (columns.id, columns.question))
        except ValueError as error:
            if columns.id is not None:
                raise DataError(f"{self.place}: {sample.key}: {error}, expected its {columns.id!r} there") from error
            return InputRow(name, None, error=f"{name}: {error}")
        if columns.id is not None:
            if columns.id not in texts:
                raise DataError(f"{self.place}: {sample.key} has no {columns.id!r}; every sample needs one")
            name = texts[columns.id]
        question = None if columns.question is None else texts.get(columns.question)
        part = self._image_part(sample.contents)
        if part is None:
            wanted = columns.image or columns.content or "image"
            return InputRow(name, None, question, f"{name}: has no {wanted} among {', '.join(sample.contents)}")
        image = sample.contents[part]
        if image is None:
            return InputRow(name, None, question, f"{name}: {part} is a link in the tar file, expected a file")
        return InputRow(name, image, question)


@dataclass(frozen=True)
class TarShards:
    """Tar shards, each a partition. A sample's id is the shard's name and its key, unless a column has it.

    Attributes:
        text: path or URL of a file, a pattern, or several in braces: ``shards/{000..127}.tar``.
        columns: an image's is a suffix such as ``jpg``, without which the first part that has an image's is taken;
            those of id and question are suffixes of text files, or keys of a JSON file, in the sample.
    """

    text: str
    columns: ListColumns

    @property
    def name(self) -> str:
        """What was given, and the columns that are named."""
        return self.columns.of_list(absolute(self.text))

    @property
    def lists_quickly(self) -> bool:
        """Not so."""
        return False

    def partitions(self) -> Iterator[Partition]:
        """See `Source.partitions`."""
        for number, place in enumerate(list_places(self.text, TAR_SUFFIXES)):
            shard = TarShard(place, self.columns)
            if number == 0:
                shard.check()
            yield shard


def _is_json(part: str) -> bool:
    return part == "json" or part.endswith(".json")


def _is_image(part: str) -> bool:
    return has_image_suffix(f"image.{part}")


def _fields(sample: _Sample) -> dict[str, Any]:
    """What the JSON files of a sample say.

    Raises:
        ValueError: one is not JSON, or no object.
    """
    found: dict[str, Any] = {}
    for part, content in sample.contents.items():
        if _is_json(part) and content is not None:
            try:
                record = json.loads(content)
            except ValueError as error:
                raise ValueError(f"{part} is not valid JSON ({error})") from error
            if not isinstance(record, dict):
                raise ValueError(f"{part} is no JSON object")
            found |= record
    return found


def _readable_fields(sample: _Sample) -> Iterable[str]:
    try:
        return _fields(sample)
    except ValueError:  # which is said of the sample's own row
        return ()


def _texts(sample: _Sample, names: Iterable[str | None]) -> dict[str, str]:
    """Texts of a sample, by the names that they are asked for by: of its JSON files, or of a part.

    Raises:
        ValueError: one is no text.
    """
    found = {}
    fields = _fields(sample)
    for name in names:
        if name is None:
            continue
        content = sample.contents.get(name.lower())
        value = fields.get(name) if content is None else content.decode()  # UnicodeDecodeError is a ValueError
        if value is not None and str(value).strip():
            found[name] = str(value).strip()
    return found
