"""The folder of a job, or of a share of one: whoever reads all of an output finds each row once."""

from __future__ import annotations

import re
from pathlib import Path

from blipvino.batch.output.job_manifest import MANIFEST
from blipvino.batch.output.local_folder import LocalFolder
from blipvino.batch.row_selection import Share
from blipvino.errors import OutputError

_SHARE = re.compile(r"0*([0-9]+)-of-([0-9]+)")


def job_folder(output: Path, share: Share | None) -> LocalFolder:
    """Where a job, or a share of it, is kept.

    Raises:
        OutputError: the output has rows of the same input in other shares, or in none.
    """
    try:
        there = {path.name for path in output.iterdir() if path.is_dir()} if output.is_dir() else set()
    except OSError as error:
        raise OutputError(f"{output}: cannot be listed ({error.strerror}); choose another folder") from error
    shares = {name: int(found[2]) for name in there if (found := _SHARE.fullmatch(name)) is not None}
    if share is None:
        if shares:
            raise OutputError(
                f"{output}: has shares of a job, such as {min(shares)}; give --shard, or another --output"
            )
        return LocalFolder(output)
    if (output / MANIFEST).exists():
        raise OutputError(f"{output}: has a job that is not in shares; leave --shard out, or give another --output")
    others = sorted(name for name, of in shares.items() if of != share.of)
    if others:
        raise OutputError(f"{output}: has another number of shares, such as {others[0]}; give another --output")
    return LocalFolder(output / share.folder)
