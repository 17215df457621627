"""What a checkpoint is at this moment, told without loading it: a hub's commit, or a folder's files."""

from __future__ import annotations

import hashlib
import json
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from blipvino.bundle.bundle import sha256_of
from blipvino.checkpoint.tensors import CONFIG_FILE
from blipvino.checks import shown
from blipvino.demo import resolve
from blipvino.errors import CheckpointError
from blipvino.files.staging import moved_aside

_HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")
_COMMIT = re.compile("[0-9a-f]{40}")


@dataclass(frozen=True)
class Source:
    """A checkpoint in one state.

    Attributes:
        name: as it was given; of a folder its whole path, so that it is found from anywhere.
        state: the commit; or a digest over names, sizes and times of change of a folder's files; or of an embedded
            checkpoint over its files' content, whose times change whenever blipvino is installed again.
        revision: the commit to load; None of a folder.
    """

    name: str
    state: str
    revision: str | None = None

    @property
    def short_name(self) -> str:
        """Letters for the name of a folder: the last part of the name."""
        return re.sub("[^A-Za-z0-9._-]+", "-", Path(self.name).name) or "checkpoint"


def named_path(name: str | Path) -> Path:
    """What is called so here: an embedded checkpoint's folder, or a path, from the user's home where it begins so.

    Raises:
        CheckpointError: it can be no path.
    """
    try:
        path = Path(resolve(name)).expanduser()
        path.is_dir()
    except (OSError, RuntimeError, ValueError) as error:  # too long a name, a user that is unknown, a zero byte
        raise CheckpointError(f"{shown(str(name))} can be no folder ({error})") from error
    return path


def is_checkpoint_folder(name: str | Path) -> bool:
    """Whether this is a checkpoint in a folder, the embedded ones included, and not on a hub.

    Raises:
        CheckpointError: it can be no path.
    """
    return named_path(name).is_dir()


def folder_source(name: str | Path) -> Source:
    """A folder, or an embedded checkpoint, as it is now.

    Raises:
        CheckpointError: it holds no checkpoint, or cannot be read.
    """
    folder = named_path(name)
    if not (folder / CONFIG_FILE).is_file():
        raise CheckpointError(
            f"{name}: neither a bundle (it has no manifest.json, as `blipvino optimize` writes one) nor a checkpoint "
            f"(no {CONFIG_FILE}, as `save_pretrained` writes one beside model.safetensors)"
        )
    embedded = resolve(name) != name
    try:
        found = sorted((path, path.stat()) for path in folder.iterdir())
        files = [(path, of) for path, of in found if stat.S_ISREG(of.st_mode)]
        listed: list[tuple[str, ...]] = [
            (path.name, sha256_of(path)) if embedded else (path.name, str(of.st_size), str(of.st_mtime_ns))
            for path, of in files
        ]
    except OSError as error:
        raise CheckpointError(f"{error.filename}: cannot be read ({error.strerror})") from error
    shown = str(name) if embedded else str(folder.resolve())
    return Source(shown, hashlib.sha256(json.dumps(listed).encode()).hexdigest())


def check_hub_id(name: str | Path) -> None:
    """Refuse what is no folder and cannot be a hub id either.

    Raises:
        CheckpointError: it is a file, or a path to nothing.
    """
    path, expected = named_path(name), "expected a bundle, a checkpoint's folder, or a hub id (owner/name)"
    if path.exists():
        raise CheckpointError(f"{name} is a file; {expected}")
    aside = moved_aside(path)
    if aside is not None:
        raise CheckpointError(f"{name}: was moved to {aside.name} by an optimize that was stopped; rename it back")
    if not _HUB_ID.fullmatch(str(name)):
        raise CheckpointError(f"{name}: no such folder; {expected}")


def is_commit(revision: str | None) -> bool:
    """Whether a revision is a full commit hash, which always means the same."""
    return revision is not None and _COMMIT.fullmatch(revision) is not None
