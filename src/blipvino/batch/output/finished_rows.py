"""Which rows are in finished shards, and so are done."""

from __future__ import annotations

from dataclasses import dataclass, field

from blipvino.batch.id_set import IdSet
from blipvino.batch.output.output_place import OutputPlace
from blipvino.batch.output.shard_formats import ShardFormat
from blipvino.batch.output.shard_writer import shard_names
from blipvino.errors import OutputError


@dataclass
class FinishedRows:
    """What finished shards have.

    Attributes:
        ids: of their rows.
        rows: of each shard.
        errors: rows that have one.
    """

    ids: IdSet = field(default_factory=IdSet)
    rows: dict[str, int] = field(default_factory=dict)
    errors: int = 0

    @classmethod
    def read(cls, place: OutputPlace, form: ShardFormat) -> FinishedRows:
        """Of all shards of a place.

        Raises:
            OutputError: one is damaged, or has a row that another one has, too.
        """
        found = cls()
        for name in shard_names(place.sizes(), form.suffix):
            found.rows[name] = 0
            with place.read(name) as file:
                for row in form.finished(file, f"{place.name}/{name}"):
                    if not found.ids.add(row.id):
                        raise OutputError(
                            f"{place.name}/{name}: has the row {row.id!r}, which another shard has, too; if one of "
                            "them is a copy, remove it"
                        )
                    found.rows[name] += 1
                    found.errors += row.failed
        return found
