"""Compiled graphs that are kept between starts, each in a file that shows whether it is whole, within a limit."""

from __future__ import annotations

import hashlib
import json
import logging
import mmap
import os
import re
import shutil
import stat
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import openvino as ov
from filelock import FileLock, Timeout

from blipvino.errors import InputError, OutputError
from blipvino.files.sealed import Record, check_content, read_record, sweep, write_sealed
from blipvino.machine.devices import CPU

DEFAULT_LIMIT_BYTES = 4 * 10**9
"""What everyday commands compile of a BLIP-base takes 0.9 GB in 8 bits, 1.5 GB uncompressed: a few bundles' graphs."""
LIMIT_VARIABLE = "BLIPVINO_CACHE_BYTES"
NO_LIMIT = "none"

_APART = ".tuning"
_NAME = re.compile(r"([a-z0-9_]+)-[0-9a-f]{32}\.blob")

logger = logging.getLogger(__name__)


def default_cache() -> Path:
    """The user's cache folder: ``$BLIPVINO_CACHE``, else ``$XDG_CACHE_HOME/blipvino``, else ``~/.cache/blipvino``.

    What is in it is named after all that it depends on, so nothing goes stale; it may be deleted at any time.
    """
    given = os.environ.get("BLIPVINO_CACHE")
    if given:
        return Path(given).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "blipvino"


def cache_limit() -> int | None:
    """Bytes that a cache folder may hold: ``$BLIPVINO_CACHE_BYTES``, else 4 GB. None, "none", is as many as there are.

    Raises:
        InputError: the variable is no number of bytes.
    """
    given = os.environ.get(LIMIT_VARIABLE, "").strip()
    if not given:
        return DEFAULT_LIMIT_BYTES
    if given.lower() == NO_LIMIT:
        return None
    if not given.isdecimal():
        raise InputError(
            f"{LIMIT_VARIABLE} is {given!r}, expected bytes, such as {DEFAULT_LIMIT_BYTES}, 0 to keep nothing, "
            f"or {NO_LIMIT} for no limit"
        )
    return int(given)


@dataclass(frozen=True)
class GraphKey:
    """What a compiled graph is, with all that it depends on.

    Attributes:
        graph: its name, such as "answer".
        digest: of the graph's files.
        properties: OpenVINO's, which it is compiled with, and loaded with.
        details: what else it depends on: its shapes, the processor, OpenVINO's version; JSON.
        bundle: where the graph came from, for people to read; copies of a bundle share their compiled graphs.
        device: OpenVINO's name of what it is compiled for; ``details`` tell which one that is.
    """

    graph: str
    digest: str
    properties: Mapping[str, Any]
    details: Mapping[str, Any]
    bundle: str = field(default="", compare=False)
    device: str = CPU

    @property
    def text(self) -> str:
        """All that it depends on."""
        of_graph = {"graph": self.graph, "digest": self.digest, "device": self.device}
        parts = {**of_graph, "properties": self.properties, "details": self.details}
        return json.dumps(parts, sort_keys=True, default=str)

    @property
    def file_name(self) -> str:
        """Of its file in the cache."""
        return f"{self.graph}-{hashlib.sha256(self.text.encode()).hexdigest()[:32]}.blob"


class CachedGraph(NamedTuple):
    """A compiled graph from the cache.

    Attributes:
        compiled: the graph.
        memory: what must live as long as it.
        notes: what was noted when it was saved.
    """

    compiled: ov.CompiledModel
    memory: mmap.mmap
    notes: dict[str, Any]


@dataclass(frozen=True)
class CacheEntry:
    """A file in the cache, as `blipvino cache` lists it.

    Attributes:
        path: of the file.
        size: bytes that it takes.
        used: when a start used it last, or when it was made: seconds since 1970.
        graph: the graph's name.
        record: what the file says of itself; None if it says nothing, or is damaged there: no start will use it.
    """

    path: Path
    size: int
    used: float
    graph: str
    record: Record | None = None

    @property
    def digest(self) -> str | None:
        """Of the graph's files in the bundle."""
        return None if self.record is None else self.record.fields["digest"]

    @property
    def bundle(self) -> str | None:
        """The folder of the bundle that it was compiled of."""
        return None if self.record is None else self.record.fields["bundle"]

    @property
    def host(self) -> str | None:
        """The signature of the host that compiled it."""
        return None if self.record is None else json.loads(self.record.fields["key"])["details"].get("host")

    @property
    def made(self) -> str | None:
        """When it was compiled: UTC, ISO 8601."""
        return None if self.record is None else self.record.fields["made"]

    def to_json(self) -> dict[str, Any]:
        """All that is known of it; ``kind`` tells compiled graphs from what a cache may hold one day."""
        fields = {} if self.record is None else dict(self.record.fields)
        used = datetime.fromtimestamp(self.used, UTC).isoformat(timespec="seconds")
        return {
            "kind": "compiled graph",
            "path": str(self.path),
            "graph": self.graph,
            "bytes": self.size,
            "used": used,
            "usable": self.record is not None,
            **{name: fields.get(name) for name in ("bundle", "digest", "made", "notes")},
            "key": json.loads(fields["key"]) if fields else None,
        }


class CompiledCache:
    """A folder of compiled graphs. Several processes may use it at once.

    Args:
        folder: made when the first graph is saved.
        limit_bytes: when more are there, those that were not used for longest go. 0 keeps and uses nothing, None keeps
            everything.
    """

    def __init__(self, folder: Path, limit_bytes: int | None = DEFAULT_LIMIT_BYTES) -> None:
        self.folder = folder
        self.limit_bytes = limit_bytes
        self._saves = limit_bytes != 0

    def load(self, core: ov.Core, key: GraphKey) -> CachedGraph | None:
        """A compiled graph, after its digest was compared; None if it is not there or not to be used, which is logged.

        OpenVINO's own model cache reads and hashes the bundle's graph first; this leaves it alone, which is faster and
        takes less memory. The file's pages are given back at once: what the compiled graph did not copy (tables that
        it looks up) it reads again where it needs it.
        """
        if self.limit_bytes == 0:
            return None
        path = self.folder / key.file_name
        try:
            found = _load(core, path, key)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: OpenVINO's
            reason = getattr(error, "strerror", None) or str(error).strip().splitlines()[-1]
            logger.warning("%s: %s; the graph is compiled again", path, reason)
            return None
        try:
            os.utime(path)  # and not the time of access, which many systems do not keep
        except OSError as error:
            logger.debug("%s: its use cannot be noted (%s)", path, error)
        return found

    def save(self, key: GraphKey, model: ov.CompiledModel, notes: Mapping[str, Any] | None = None) -> None:
        """Keep a compiled graph, whole or not at all. A full disk costs no more than the cache, and a warning.

        Args:
            key: what it is to be found by; what was kept under it is replaced.
            model: the graph.
            notes: JSON to be kept with it.
        """
        if not self._saves:
            return
        path = self.folder / key.file_name
        content = model.export_model().getbuffer()
        if self.limit_bytes is not None and content.nbytes > self.limit_bytes:
            logger.warning("%s takes %d bytes, more than %s, so it is not kept", path, content.nbytes, LIMIT_VARIABLE)
            return
        fields = {
            "key": key.text,
            "graph": key.graph,
            "digest": key.digest,
            "bundle": key.bundle,
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
            "notes": dict(notes or {}),
        }
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            write_sealed(path, content, fields)
            self._make_room(path)
        except OSError as error:
            reason = error.strerror or str(error)
            logger.warning("%s: cannot be written (%s); compiled graphs are not kept", error.filename or path, reason)
            self._saves = False

    @property
    def keeps(self) -> bool:
        """Whether what is saved is kept, as far as is known."""
        return self._saves

    @contextmanager
    def apart(self) -> Iterator[Path]:
        """A folder of its own beside the compiled graphs, to fill with others before they take the place of these.

        Raises:
            InputError: another process has one.
            OutputError: it cannot be made.
        """
        apart, lock = self.folder / _APART, FileLock(self.folder / f"{_APART}.lock")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(blocking=False)
        except Timeout as error:
            raise InputError(f"{self.folder}: another process is tuning; wait for it, and try again") from error
        except OSError as error:
            raise OutputError(f"{self.folder}: cannot be written ({error.strerror}); choose another cache") from error
        try:
            shutil.rmtree(apart, ignore_errors=True)  # of one that was killed
            yield apart
        finally:
            shutil.rmtree(apart, ignore_errors=True)
            lock.release()

    def exchange(self, digests: Collection[str], host: str, apart: Path) -> None:
        """Take compiled graphs from a folder of `apart`, in place of all that a host had of these graphs.

        Args:
            digests: of the graphs' files.
            host: its signature; what others compiled stays.
            apart: the folder; it is empty afterwards.

        Raises:
            OutputError: a file cannot be moved or removed.
        """
        self.remove([entry for entry in self.entries() if entry.digest in digests and entry.host == host])
        try:
            for path in sorted(apart.glob("*.blob")):
                path.replace(self.folder / path.name)
        except OSError as error:
            raise OutputError(f"{error.filename}: cannot be moved ({error.strerror}); check its permissions") from error

    def entries(self) -> list[CacheEntry]:
        """What is in the folder, last used first. Contents are not compared with their digests."""
        return sorted((_with_record(entry) for entry in self._files()), key=lambda entry: entry.used, reverse=True)

    def to_json(self) -> dict[str, Any]:
        """What `blipvino cache --json` prints."""
        entries = self.entries()
        return {
            "folder": str(self.folder),
            "limit_bytes": self.limit_bytes,
            "total_bytes": sum(entry.size for entry in entries),
            "entries": [entry.to_json() for entry in entries],
        }

    def remove(self, entries: Iterable[CacheEntry]) -> None:
        """Remove compiled graphs, and what killed processes left; a process that uses one keeps it until it ends.

        Raises:
            OutputError: a file cannot be removed.
        """
        try:
            self._sweep()
            for entry in entries:
                _remove(entry.path)
        except OSError as error:
            raise OutputError(
                f"{error.filename or self.folder}: cannot be removed ({error.strerror}); check its permissions"
            ) from error

    def _files(self) -> Iterator[CacheEntry]:
        """The folder's files that are named like a compiled graph; nothing else in it is touched, ever."""
        now = time.time()
        for path in self.folder.glob("*.blob"):
            named = _NAME.fullmatch(path.name)
            if named is None:
                continue
            try:
                found = path.lstat()
            except FileNotFoundError:  # another process removed it
                continue
            size = found.st_size if stat.S_ISREG(found.st_mode) else 0
            yield CacheEntry(path, size, min(found.st_mtime, now), named[1])

    def _make_room(self, newest: Path) -> None:
        """Sweep, and remove what was not used for longest until the limit is kept; the newest file stays.

        It comes after a write, so that the last of several writing processes leaves the limit kept.
        """
        self._sweep()
        if self.limit_bytes is None:
            return
        entries = sorted(self._files(), key=lambda entry: entry.used)
        total = sum(entry.size for entry in entries)
        for entry in entries:
            if total <= self.limit_bytes:
                break
            if entry.path != newest:
                _remove(entry.path)
                logger.debug("%s: removed, to keep to the cache's limit", entry.path)
                total -= entry.size

    def _sweep(self) -> None:
        sweep(self.folder, "*.blob")


def _load(core: ov.Core, path: Path, key: GraphKey) -> CachedGraph:
    """Read, check and map one open file, so that nothing comes between.

    Raises:
        ValueError: it is not this graph, or damaged.
        OSError: it cannot be read.
        RuntimeError: OpenVINO does not take it.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("is not a file")
    with path.open("rb", buffering=0) as file:
        record = read_record(file)
        if record.fields["key"] != key.text:
            raise ValueError("holds another graph than its name says")
        check_content(file, record)
        memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)  # OpenVINO asks for writable memory
    content = np.frombuffer(memory, np.uint8, record.content_bytes)
    compiled = core.import_model(ov.Tensor(content, shared_memory=True), key.device, dict(key.properties))
    if hasattr(mmap, "MADV_DONTNEED"):
        memory.madvise(mmap.MADV_DONTNEED)
    return CachedGraph(compiled, memory, dict(record.fields["notes"]))


def _with_record(entry: CacheEntry) -> CacheEntry:
    """The entry with what its file says of itself, if it can be read."""
    if not entry.path.is_file():  # a pipe would be waited for
        return entry
    try:
        with entry.path.open("rb", buffering=0) as file:
            return CacheEntry(entry.path, entry.size, entry.used, entry.graph, read_record(file))
    except (OSError, ValueError) as error:
        logger.debug("%s: %s", entry.path, error)
        return entry


def _remove(path: Path) -> None:
    """Remove what lies under an entry's name; another process may have done so."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
