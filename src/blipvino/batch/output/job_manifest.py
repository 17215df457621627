"""What a job is, kept beside its shards: a run that would make other rows is refused, with the difference named."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

from blipvino.batch.output.output_place import OutputPlace
from blipvino.batch.output.shard_formats import FORMATS
from blipvino.batch.output.shard_writer import shard_names
from blipvino.checks import shown
from blipvino.errors import InputError, OutputError
from blipvino.files.json_records import decode

EngineName = Literal["local", "ray"]
MANIFEST, SUMMARY = "_manifest.json", "_summary.json"
"""Names that readers of Parquet datasets pass over."""
_VERSION = 1


@dataclass(frozen=True)
class JobManifest:
    """What a job is.

    Attributes:
        job: all that decides which rows it makes, by names that users know; plain values.
        seed: that texts are drawn by.
        begun: when it was.
        version: of this format.
    """

    job: Mapping[str, Any]
    seed: int | None = None
    begun: str = field(default_factory=lambda: datetime.now().astimezone().isoformat(timespec="seconds"))
    version: int = _VERSION

    @classmethod
    def read(cls, place: OutputPlace) -> JobManifest | None:
        """That of a place; None where nothing is yet.

        Raises:
            OutputError: it is damaged or newer, or the place has other files.
        """
        files = place.sizes()
        if MANIFEST not in files:
            if files:
                raise OutputError(
                    f"{place.name}: is not empty, and has no job in it ({MANIFEST}); choose another folder"
                )
            return None
        try:
            with place.read(MANIFEST) as file:
                document = json.load(file)
            version = document.get("version")
            if isinstance(version, int) and version > _VERSION:
                raise OutputError(f"{place.name}: was written by a newer blipvino; upgrade, or choose another folder")
            found = decode(_Document, document)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise OutputError(
                f"{place.name}: its {MANIFEST} is damaged ({error!r}); --restart begins the job anew"
            ) from error
        return cls(document["job"], found.seed, found.begun, found.version)

    def write(self, place: OutputPlace) -> None:
        """Keep it.

        Raises:
            OutputError: it cannot be written.
        """
        with place.write(MANIFEST) as file:
            file.write(json.dumps(asdict(self), indent=2).encode())

    def binds(self, engine: EngineName, has_finished: bool) -> bool:
        """Whether a run must go on with this job: what made nothing binds nobody. What another engine made is not seen.

        Args:
            engine: of the run.
            has_finished: whether that engine has finished something there.
        """
        return has_finished or self.job.get("engine") != engine

    def check(self, job: Mapping[str, Any], place: OutputPlace) -> None:
        """Compare with what is asked for now.

        Raises:
            InputError: that makes other rows.
        """
        names = [name for name in {**self.job, **job} if self.job.get(name) != job.get(name)]
        if names:
            told = "; ".join(f"{name} was {shown(self.job.get(name))}, is {shown(job.get(name))}" for name in names)
            raise InputError(
                f"{place.name}: was begun otherwise: {told}. Give the same, another --output, or --restart to remove "
                "the shards that are there"
            )


def checked_manifest(place: OutputPlace, *, anew: bool) -> JobManifest | None:
    """The manifest of the job that a run would go on with; None where it begins one.

    Args:
        place: of the job.
        anew: whether a job that is there is removed first.

    Raises:
        OutputError: as `JobManifest.read`: in a folder of other things not even a lock is put.
    """
    return None if anew and MANIFEST in place.sizes() else JobManifest.read(place)


def _engine_of(place: OutputPlace) -> str | None:
    """The engine that a manifest names; None where it is damaged."""
    try:
        with place.read(MANIFEST) as file:
            return str(json.load(file)["job"]["engine"])
    except (ValueError, KeyError, TypeError):
        return None


@dataclass(frozen=True)
class _Document:
    """The part of it whose types are known."""

    begun: str
    version: int
    seed: int | None = None


def has_shards(place: OutputPlace) -> bool:
    """Whether a job has finished something there.

    Raises:
        OutputError: the place cannot be listed.
    """
    files = place.sizes()
    return any(shard_names(files, form.suffix) for form in FORMATS.values())


def restart(place: OutputPlace, engine: EngineName, remove_more: Callable[[], object] = lambda: None) -> None:
    """Remove what a job left. Its manifest goes last: until then it is the same job, with fewer shards.

    Args:
        place: of the job.
        engine: that it is begun anew with.
        remove_more: removes what the engine keeps elsewhere.

    Raises:
        InputError: another engine left it, which keeps other things.
        OutputError: something cannot be removed.
    """
    files = place.sizes()
    if MANIFEST not in files:
        return  # whatever is there is no job's
    before = _engine_of(place)
    if before not in (None, engine):
        raise InputError(
            f"{place.name}: was made with --engine {before}; restart it with that, or give another --output"
        )
    remove_more()
    shards = [name for form in FORMATS.values() for name in shard_names(files, form.suffix)]
    for name in [*shards, SUMMARY, MANIFEST]:
        if name in files:
            place.remove(name)
