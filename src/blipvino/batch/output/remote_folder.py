"""The files of a job behind a URL, such as in a bucket, where nothing can be renamed."""

from __future__ import annotations

import io
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

from blipvino.batch.output.job_manifest import SUMMARY
from blipvino.batch.output.remote_lock import RemoteLock
from blipvino.batch.remote_files import RemoteError, file_system, is_bucket, joined, open_url, protocol, remote_error
from blipvino.errors import BlipvinoError, OutputError
from blipvino.files.partials import new_partial, sweep_partials

_LOCK = "_writer.json"
_STORES = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "memory"})
"""Where a file appears when all of it has been sent, and not before."""
_CREATING = frozenset({"s3", "s3a", "gs", "gcs", "memory"})
"""Of these, those that can be asked to write a file only where there is none."""


@dataclass
class RemoteFolder:
    """A folder behind a URL. See `OutputPlace`.

    Attributes:
        url: of the folder.
    """

    url: str
    _lock: RemoteLock | None = field(default=None, init=False)

    @property
    def name(self) -> str:
        """The URL."""
        return self.url

    @contextmanager
    def sole_writer(self) -> Iterator[None]:
        """Be the one that writes here while the block runs: a file says so, and is renewed every few seconds.

        One that a process of this machine left when it was killed is passed over; another machine's, half a minute
        after it was last renewed.

        Raises:
            OutputError: another process is, or nothing can be written here.
        """
        with ExitStack() as held:
            with self._refusals():
                system, root = self._place()
                if protocol(self.url) not in _STORES:
                    system.makedirs(root, exist_ok=True)
                sweep_partials(Path(tempfile.gettempdir()))
                self._lock = RemoteLock(system, f"{root}/{_LOCK}", self.url)
                held.enter_context(self._lock.held())
                for name in self._all_sizes():
                    if name.startswith(".blipvino-"):
                        system.rm_file(f"{root}/{name}")  # nobody else writes here
            yield

    def check(self) -> None:
        """Nothing can be told of a store without writing."""

    def sizes(self) -> dict[str, int]:
        """The finished files and their bytes, by name."""
        with self._refusals():
            return {name: size for name, size in self._all_sizes().items() if not name.startswith(".")}

    def folders(self) -> set[str]:
        """The names of folders in it."""
        with self._refusals():
            return {_name(entry) for entry in self._entries() if entry["type"] == "directory"}

    def below(self, name: str) -> RemoteFolder:
        """A folder in it."""
        return RemoteFolder(joined(self.url, name))

    @contextmanager
    def read(self, name: str) -> Iterator[BinaryIO]:
        """Open a finished file."""
        try:
            with open_url(joined(self.url, name)) as file:
                yield cast(BinaryIO, file)
        except RemoteError as error:
            raise OutputError(str(error)) from error

    @contextmanager
    def write(self, name: str) -> Iterator[BinaryIO]:
        """Write a file here, then send it. But for the summary, it must not be there yet: another process has made it.

        Of an object store a file appears when it has been sent; elsewhere it is sent under a hidden name, and renamed.
        """
        try:
            with new_partial(Path(tempfile.gettempdir())) as (partial, raw):
                file = io.BufferedWriter(raw)
                yield file
                file.flush()
                file.detach()
                with self._refusals():
                    self._check_lock()
                    self._send(partial, name)
        except OSError as error:
            raise OutputError(
                f"{joined(self.url, name)}: cannot be made here before it is sent ({error.strerror or error}); make "
                "room for temporary files, or set TMPDIR to a folder on another disk"
            ) from error

    def remove(self, name: str) -> None:
        """Remove a finished file."""
        with self._refusals():
            self._check_lock()
            system, root = self._place()
            system.rm_file(f"{root}/{name}")

    def _send(self, file: Path, name: str) -> None:
        system, root = self._place()
        target, kind = f"{root}/{name}", protocol(self.url)
        if name != SUMMARY:
            if kind in _CREATING:
                self._create(file, name)
                return
            if system.exists(target):
                raise self._is_there(name)
        if kind in _STORES:
            system.put_file(str(file), target)
            return
        partial = f"{root}/.blipvino-{secrets.token_hex(8)}.partial"
        system.put_file(str(file), partial)
        if system.exists(target):
            system.rm_file(target)
        system.mv(partial, target)

    def _create(self, file: Path, name: str) -> None:
        system, root = self._place()
        try:
            system.put_file(str(file), f"{root}/{name}", mode="create")
        except FileExistsError as error:
            # Sent twice, since the answer to the first was lost, it is ours: times in it are no other process's.
            if system.cat_file(f"{root}/{name}") != file.read_bytes():
                raise self._is_there(name) from error

    def _is_there(self, name: str) -> OutputError:
        return OutputError(f"{joined(self.url, name)}: is there already: another process writes to this folder")

    def _all_sizes(self) -> dict[str, int]:
        found = {_name(entry): entry["size"] or 0 for entry in self._entries() if entry["type"] == "file"}
        return {name: size for name, size in found.items() if name and name != _LOCK}

    def _entries(self) -> list[dict[str, Any]]:
        system, root = self._place()
        system.invalidate_cache()
        try:
            entries: list[dict[str, Any]] = system.ls(root, detail=True)
        except FileNotFoundError:
            if is_bucket(self.url):  # where a folder is there with its first file, but a bucket has to be
                system.call_s3("list_objects_v2", Bucket=root.partition("/")[0], MaxKeys=1, **system.req_kw)
            return []
        return entries

    def _place(self) -> tuple[Any, str]:
        system, root = file_system(self.url)
        return system, root.rstrip("/")

    def _check_lock(self) -> None:
        if self._lock is None:
            raise OutputError(f"{self.url}: is written by its sole writer alone")
        self._lock.check()

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except BlipvinoError:
            raise
        except RemoteError as error:
            raise OutputError(str(error)) from error
        except Exception as error:  # each file system has errors of its own
            raise OutputError(str(remote_error(self.url, error))) from error


def _name(entry: dict[str, Any]) -> str:
    name: str = entry["name"].rstrip("/").rpartition("/")[2]
    return name
