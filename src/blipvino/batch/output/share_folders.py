"""The folder of a job, or of a share of one: whoever reads all of an output finds each row once."""

from __future__ import annotations

import re
from pathlib import Path

from blipvino.batch.output.job_manifest import MANIFEST
from blipvino.batch.output.local_folder import LocalFolder
from blipvino.batch.output.remote_folder import RemoteFolder
from blipvino.batch.remote_files import is_url
from blipvino.batch.row_selection import Share
from blipvino.errors import OutputError

_SHARE = re.compile(r"0*([0-9]+)-of-([0-9]+)")


def job_folder(output: str | Path, share: Share | None) -> LocalFolder | RemoteFolder:
    """Where a job, or a share of it, is kept.

    Args:
        output: path or URL of the folder of the whole job.
        share: of it; None is all of it.

    Raises:
        OutputError: the output has rows of the same input in other shares, or in none.
    """
    whole = RemoteFolder(output) if isinstance(output, str) and is_url(output) else LocalFolder(Path(output))
    shares = {name: int(found[2]) for name in whole.folders() if (found := _SHARE.fullmatch(name)) is not None}
    if share is None:
        if shares:
            raise OutputError(
                f"{output}: has shares of a job, such as {min(shares)}; give --shard, or another --output"
            )
        return whole
    if MANIFEST in whole.sizes():
        raise OutputError(f"{output}: has a job that is not in shares; leave --shard out, or give another --output")
    others = sorted(name for name, of in shares.items() if of != share.of)
    if others:
        raise OutputError(f"{output}: has another number of shares, such as {others[0]}; give another --output")
    return whole.below(share.folder)
