"""What would end a job, looked for before a checkpoint is optimized or what is there is removed: it needs no model."""

from __future__ import annotations

from contextlib import suppress

from blipvino.batch.output.job_manifest import checked_manifest
from blipvino.batch.output.output_place import OutputPlace
from blipvino.batch.output.shard_formats import FORMATS, FormatName
from blipvino.batch.row_source import Source
from blipvino.errors import ImageError


def check_job(source: Source, place: OutputPlace, form: FormatName, *, anew: bool) -> None:
    """Check the source, as `check_source`, and that the place takes shards.

    Args:
        source: of the job.
        place: where shards will go.
        form: their format.
        anew: whether what is there will be removed.

    Raises:
        DataError: the source, or the store of its first image, cannot be read.
        InputError: a library is missing.
        OutputError: the place has other files, or a newer job, or cannot be listed or written to.
    """
    FORMATS[form].check()
    place.check()
    checked_manifest(place, anew=anew)
    check_source(source)


def check_source(source: Source) -> None:
    """Check that there are rows, and that the store of the first one's image gives some.

    Raises:
        DataError: the source, or that store, cannot be read.
    """
    first = next((row for partition in source.partitions() for row in partition.rows()), None)
    if first is not None:
        with suppress(ImageError):  # which will be its row's error
            first.source()
