"""The record of finished rows, kept by Ray Data, and the few cases that it leaves open."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pyarrow import parquet
from pyarrow.fs import (
    FileInfo,
    FileSelector,
    FileSystem,
    FileType,
    FSSpecHandler,
    LocalFileSystem,
    PyFileSystem,
)
from ray.data.checkpoint import CheckpointConfig

from blipvino.batch.on_ray.ray_rows import ID
from blipvino.batch.output.finished_rows import FinishedRows
from blipvino.batch.output.local_folder import LocalFolder
from blipvino.batch.output.output_place import OutputPlace
from blipvino.batch.remote_files import RemoteError, file_system
from blipvino.errors import OutputError

SHARDS, RECORD, RUN = "shards", "_ray_record", "_ray_run"
"""Folders of a job's place. Readers of Parquet datasets pass over names that begin with an underscore."""
_CURRENT = "current"
_PENDING, _COMMITTED = ".pending.parquet", ".parquet"


@dataclass(frozen=True)
class ShardPlace:
    """Where a job's shards and the record of them are: no other files are in either.

    Attributes:
        filesystem: of both.
        shards: folder of the shards. Ray Data looks for what it removes in all folders below, so that the record must
            not be one of these.
        record: folder of Ray Data's checkpoint: a file of ids a shard.
        run: folder of the name of the run that may write.
    """

    filesystem: FileSystem
    shards: str
    record: str
    run: str

    @classmethod
    def of(cls, place: OutputPlace) -> ShardPlace:
        """That of a job's place.

        Raises:
            OutputError: no package here writes there.
        """
        names = (SHARDS, RECORD, RUN)
        if isinstance(place, LocalFolder):
            folder = Path(place.folder).resolve()
            return cls(LocalFileSystem(), *(str(folder / name) for name in names))
        try:
            system, root = file_system(place.name)
        except RemoteError as error:
            raise OutputError(str(error)) from error
        return cls(PyFileSystem(FSSpecHandler(system)), *(posixpath.join(root, name) for name in names))

    def config(self) -> CheckpointConfig:
        """As Ray Data takes it. The record outlives a job that ended well: run again, it does what is new."""
        config = CheckpointConfig(
            ID, self.record, delete_checkpoint_on_success=False, override_filesystem=self.filesystem
        )
        # Each of these holds all ids: one looks through as many rows as many engines work on.
        config.checkpoint_actor_pool_max_size = 1
        return config

    def sizes(self) -> dict[str, int]:
        """The shards and their bytes, by name."""
        return {info.base_name: info.size for info in self._files(self.shards)}

    def recorded(self) -> set[str]:
        """Names of the finished shards, without what they end in."""
        names = {info.base_name for info in self._files(self.record)}
        return {name.removesuffix(_COMMITTED) for name in names if not name.endswith(_PENDING)}

    def finished(self) -> FinishedRows:
        """The rows of the finished shards; which of them have an error is not known here.

        Raises:
            OSError: the record cannot be read.
        """
        found = FinishedRows()
        for name in sorted(self.recorded()):
            path = posixpath.join(self.record, f"{name}{_COMMITTED}")
            ids = parquet.read_table(path, columns=[ID], filesystem=self.filesystem).column(ID).to_pylist()
            found.rows[name] = len(ids)
            for each in ids:
                found.ids.add(each)
        return found

    def recorded_rows(self, name: str) -> int:
        """Rows of a finished shard.

        Raises:
            OSError: its record cannot be read.
        """
        path = posixpath.join(self.record, f"{name}{_COMMITTED}")
        return int(parquet.read_metadata(path, filesystem=self.filesystem).num_rows)

    def take(self, run: str) -> None:
        """Be the run that writes from now on: tasks of another one, which may outlive its driver, begin no more shards.

        Raises:
            OSError: the place cannot be written.
        """
        self.filesystem.create_dir(self.run)
        with self.filesystem.open_output_stream(posixpath.join(self.run, _CURRENT)) as file:
            file.write(run.encode())

    def is_taken_by(self, run: str) -> bool:
        """Whether it is this run that may write.

        Raises:
            OSError: the place cannot be read.
        """
        with self.filesystem.open_input_stream(posixpath.join(self.run, _CURRENT)) as file:
            return bytes(file.read()) == run.encode()

    def clear(self) -> None:
        """Remove the shards and the record. The record goes last: without its shard, none of it is believed."""
        for folder in (self.shards, self.record):
            for info in self._files(folder):
                self.filesystem.delete_file(info.path)

    def settle(self) -> list[str]:
        """Make shards and record agree, while no job is at work on them.

        Ray Data writes the record of a shard as pending, then the shard, then renames the record; when it begins again
        it removes what is pending, with its shard. That leaves open:

        - A task is run twice, since its node seemed dead, and the second time is cut short: then the record is there
          and pending, too, and the shard may be cut off. The record goes, so that Ray Data redoes the shard.
        - A task outlives its driver by a moment, and writes a shard after the record was looked through. A shard
          without a record goes: its rows are, or will be, in another one.
        - A shard was lost or removed. Its record goes, so that its rows are made again.

        Returns:
            Names of shards and records that were removed.
        """
        names = {info.base_name for info in self._files(self.record)}
        pending = {name.removesuffix(_PENDING) for name in names if name.endswith(_PENDING)}
        committed = self.recorded()
        shards = {name: name.partition(".")[0] for name in self.sizes()}
        void = sorted(committed & pending | committed - set(shards.values()))
        orphans = sorted(name for name, stem in shards.items() if stem not in committed | pending)
        for stem in void:
            self.filesystem.delete_file(posixpath.join(self.record, f"{stem}{_COMMITTED}"))
        for name in orphans:
            self.filesystem.delete_file(posixpath.join(self.shards, name))
        return [*orphans, *(f"{stem}{_COMMITTED}" for stem in void)]

    def _files(self, folder: str) -> Iterator[FileInfo]:
        found = self.filesystem.get_file_info(FileSelector(folder, allow_not_found=True))
        return (info for info in found if info.type == FileType.File)
