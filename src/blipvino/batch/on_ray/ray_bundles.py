"""Bundles on the nodes of a Ray cluster: read where every node sees them, else sent to each node once."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from blipvino.batch.work_plan import PlannedModel
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
        model: where whoever started the job has it, and what it is; any other bundle at that place is another one.
        files: a reference to the bytes of each file, by its name; none where every worker is on one machine.
    """

    model: PlannedModel
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
        return cls(replace(PlannedModel.of(bundle), folder=bundle.folder.resolve()), files)

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
        if self._is_in(self.model.folder):
            return self.model.folder
        if not self.files:
            raise BundleError(
                f"{self.model.folder}: the bundle is not there any more; expected it for as long as the job runs"
            )
        kept = (received_bundles() if received is None else received) / self._name
        make_folder(kept.parent)
        with FileLock(kept.parent / f".{kept.name}.lock"):
            if not self._is_in(kept):
                with new_folder(kept) as partial:
                    for name, reference in self.files.items():
                        write_bytes(partial / name, fetch(reference))
                    open_bundle(partial)  # what came over the network is compared with its checksums
        return kept

    @property
    def _name(self) -> str:
        """Of a copy: whatever decides what is made is in it."""
        return "-".join(part for part in (self.model.fingerprint, self.model.calibration) if part is not None)

    def _is_in(self, folder: Path) -> bool:
        """Whether that bundle is there, all files in their full size."""
        try:
            return self.model.is_like(open_bundle(folder, verify=False))
        except BundleError:
            return False


def received_bundles() -> Path:
    """Where this node has the bundles that were sent to it: below its folder of temporary files."""
    return Path(tempfile.gettempdir()) / f"blipvino-bundles-{os.getuid()}"
