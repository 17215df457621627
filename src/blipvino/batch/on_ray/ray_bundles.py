"""Bundles on the nodes of a Ray cluster: read where every node sees them, else sent to each node once."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from blipvino.bundle.bundle import Bundle, open_bundle
from blipvino.bundle.manifest import MANIFEST_FILE
from blipvino.errors import BundleError
from blipvino.files.atomic import make_folder, new_folder, write_bytes

Fetch = Callable[[Any], Any]
"""From a reference to what it stands for, as `ray.get`; buffers come as they lie in the node's object store."""


@dataclass(frozen=True)
class SentBundle:
    """A bundle as workers are told of it. It can be pickled.

    Attributes:
        folder: where whoever started the job has it.
        fingerprint: of its files; any other bundle at that place is another one.
        files: a reference to the bytes of each file, by its name; none where every worker is on one machine.
    """

    folder: Path
    fingerprint: str
    files: Mapping[str, Any]

    @classmethod
    def of(cls, bundle: Bundle, put: Callable[[Any], Any] | None) -> SentBundle:
        """Make a bundle known to workers.

        Args:
            bundle: opened.
            put: as `ray.put`, takes bytes into the object store; None sends nothing.
        """
        names = [MANIFEST_FILE, *sorted(bundle.manifest.files)] if put is not None else []
        files = {name: put((bundle.folder / name).read_bytes()) for name in names} if put is not None else {}
        return cls(bundle.folder.resolve(), bundle.fingerprint, files)

    def find(self, fetch: Fetch, received: Path | None = None) -> Path:
        """The bundle's folder on this node: the one that was given, where it is there, else a copy.

        The first process of a node that asks makes the copy; others wait for it, and find it.

        Args:
            fetch: as `ray.get`.
            received: folder of copies; by default `received_bundles`.

        Raises:
            BundleError: the bundle is not there, and was not sent.
            OutputError: the copy cannot be written.
        """
        if _is_bundle(self.folder, self.fingerprint):
            return self.folder
        if not self.files:
            raise BundleError(
                f"{self.folder}: the bundle is not there any more; expected it for as long as the job runs"
            )
        kept = (received_bundles() if received is None else received) / self.fingerprint
        make_folder(kept.parent)
        with FileLock(kept.parent / f".{kept.name}.lock"):
            if not _is_bundle(kept, self.fingerprint):
                with new_folder(kept) as partial:
                    for name, reference in self.files.items():
                        write_bytes(partial / name, fetch(reference))
                    open_bundle(partial)  # what came over the network is compared with its checksums
        return kept


def received_bundles() -> Path:
    """Where this node has the bundles that were sent to it: below its folder of temporary files."""
    return Path(tempfile.gettempdir()) / f"blipvino-bundles-{os.getuid()}"


def _is_bundle(folder: Path, fingerprint: str) -> bool:
    """Whether that bundle is there, all files in their full size."""
    try:
        return open_bundle(folder, verify=False).fingerprint == fingerprint
    except BundleError:
        return False
