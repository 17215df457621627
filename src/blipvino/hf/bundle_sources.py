"""Where a model comes from: a bundle, a folder or repository that holds one, or a checkpoint that becomes one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from blipvino.bundle.bundle import Bundle, open_bundle
from blipvino.bundle.manifest import MANIFEST_FILE, Manifest
from blipvino.checkpoint.hub import CHECKPOINT_FILES, download
from blipvino.checkpoint.tensors import CONFIG_FILE
from blipvino.demo import resolve
from blipvino.errors import BundleError, CheckpointError
from blipvino.hf.quantization_configs import Compression
from blipvino.pretrained.optimized_once import Wanted, bundle_of

BUNDLE_FOLDER = "blipvino"
"""Of a folder in the hub's layout: the bundle lies in here, beside what processors save."""
_PROCESSOR_FILES = tuple(name for name in CHECKPOINT_FILES if not name.startswith("model"))

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Origin:
    """What ``from_pretrained`` is given, and how it is to be found.

    Attributes:
        name: a folder, a hub id, or the name of an embedded checkpoint.
        revision: branch, tag or commit on the hub.
        token: access token for the hub.
        cache: the hub cache's folder; None is the usual one.
        subfolder: of the folder or the repository.
        cached_only: ask no hub.
    """

    name: str | Path
    revision: str | None = None
    token: str | None = None
    cache: Path | None = None
    subfolder: str = ""
    cached_only: bool = False

    @property
    def is_local(self) -> bool:
        """Whether it lies on this machine."""
        return Path(resolve(self.name)).exists()

    def fetch(self, files: Iterable[str]) -> Path:
        """The folder with these files of it, fetched where it is on the hub.

        Raises:
            CheckpointError: it is neither a folder nor on the hub.
        """
        if self.is_local:
            return Path(resolve(self.name)) / self.subfolder
        prefix = f"{self.subfolder.strip('/')}/" if self.subfolder else ""
        folder = download(
            str(self.name),
            [prefix + name for name in files],
            revision=self.revision,
            token=self.token,
            cache=self.cache,
            cached_only=self.cached_only,
        )
        return folder / self.subfolder


@dataclass(frozen=True)
class Found:
    """A bundle, and where its processors are.

    Attributes:
        bundle: verified.
        folder: of the processors' files.
    """

    bundle: Bundle
    folder: Path


def find(origin: Origin, export: bool | None, compression: Compression | None, check: Callable[[str], None]) -> Found:
    """The bundle of what is given; a checkpoint's is made once, and kept in blipvino's cache.

    Args:
        origin: what is given.
        export: True wants a checkpoint, False a bundle; None takes either.
        compression: of a checkpoint; None compresses nothing. A bundle has been compressed already.
        check: given a checkpoint's class; raises where one of that class is of no use.

    Raises:
        BundleError: there is no bundle, or it is damaged.
        CheckpointError: there is no checkpoint.
    """
    folder = origin.fetch([MANIFEST_FILE, f"{BUNDLE_FOLDER}/{MANIFEST_FILE}"])
    held = next((each for each in (folder, folder / BUNDLE_FOLDER) if (each / MANIFEST_FILE).is_file()), None)
    if held is not None:
        if export:
            raise CheckpointError(f"{origin.name} is a bundle already; leave out export=True, or give its checkpoint")
        if compression is not None:
            raise BundleError(
                f"{origin.name} is a bundle, compressed already; leave out quantization_config, or give its checkpoint"
            )
        return Found(_whole(origin, held), folder)
    if export is False:
        raise BundleError(f"{origin.name} holds no bundle; export=True makes one of a checkpoint")
    return _exported(origin, compression or Compression("none"), check)


def _whole(origin: Origin, folder: Path) -> Bundle:
    """The bundle in a folder of the origin, of which the manifest is there, with all that it lists."""
    if not origin.is_local:
        manifest = folder / MANIFEST_FILE
        listed = Manifest.from_json(manifest.read_text(encoding="utf-8"), manifest).files
        prefix = f"{BUNDLE_FOLDER}/" if folder.name == BUNDLE_FOLDER else ""
        origin.fetch([*(f"{prefix}{name}" for name in (MANIFEST_FILE, *listed)), *_PROCESSOR_FILES])
    return open_bundle(folder)


def _exported(origin: Origin, compression: Compression, check: Callable[[str], None]) -> Found:
    """A checkpoint's bundle, made once into the cache."""
    plain = origin.is_local or not (origin.cache or origin.subfolder or origin.cached_only)
    source: str | Path = origin.name if plain and not origin.subfolder else origin.fetch(CHECKPOINT_FILES)
    if origin.is_local and not (Path(resolve(source)) / CONFIG_FILE).is_file():
        raise CheckpointError(f"{source} holds neither a bundle ({MANIFEST_FILE}) nor a checkpoint ({CONFIG_FILE})")
    logger.info("%s is a checkpoint: its bundle is made once, and kept in blipvino's cache", origin.name)
    on_hub = not Path(resolve(source)).exists()
    wanted = Wanted(
        compression.recipe,
        origin.revision if on_hub else None,
        origin.token,
        compression.calibration,
        check=check,
    )
    bundle = bundle_of(source, wanted, show_progress=False)
    return Found(open_bundle(bundle.folder), bundle.folder)
