"""``index.json``: what an index is, and which bundle made its vectors.

The format is described in ``docs/retrieval.md``.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from blipvino.bundle.bundle import Bundle
from blipvino.errors import RetrievalError
from blipvino.files.atomic import write_text
from blipvino.files.json_records import decode
from blipvino.machine.versions import installed_version

INDEX_FORMAT = 1
INDEX_FILE = "index.json"


@dataclass(frozen=True)
class BundleRecord:
    """The bundle that made an index's vectors.

    Attributes:
        source: where it is, or the checkpoint that it was made of, as it was given last; where `search` looks for it.
        fingerprint: of its files, `Bundle.fingerprint`: preprocessing, recipe and weights.
        label: its recipe.
        checkpoint: what it was made of.
    """

    source: str
    fingerprint: str
    label: str
    checkpoint: str


@dataclass(frozen=True)
class IndexManifest:
    """The content of ``index.json``.

    Attributes:
        format: of the folder; a newer one is refused.
        blipvino_version: that made the index.
        created: UTC, ISO 8601.
        width: of a vector.
        bundle: that made the vectors.
    """

    format: int
    blipvino_version: str
    created: str
    width: int
    bundle: BundleRecord

    @classmethod
    def of(cls, bundle: Bundle, source: str, width: int) -> IndexManifest:
        """Of a new index."""
        made = BundleRecord(source, bundle.fingerprint, bundle.label, bundle.manifest.source.name)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(INDEX_FORMAT, installed_version("blipvino"), now, width, made)

    def check_bundle(self, bundle: Bundle, index: Path) -> None:
        """Refuse another bundle than that of the index.

        Raises:
            RetrievalError: it is another.
        """
        if bundle.fingerprint != self.bundle.fingerprint:
            raise RetrievalError(
                f"{index}: its vectors were made by another bundle ({self.bundle.label} of {self.bundle.checkpoint}, "
                f"{self.bundle.fingerprint[:8]}; from {self.bundle.source}) than {bundle.folder} ({bundle.label} of "
                f"{bundle.manifest.source.name}, {bundle.fingerprint[:8]}); give that one, or make another index"
            )

    def write(self, index: Path) -> None:
        """Put it into an index's folder.

        Raises:
            OutputError: it cannot be written.
        """
        write_text(index / INDEX_FILE, json.dumps(asdict(self), indent=2, ensure_ascii=True) + "\n")

    @classmethod
    def read(cls, index: Path) -> IndexManifest:
        """That of an index.

        Raises:
            RetrievalError: there is no index, or one that is damaged or newer.
        """
        if not is_index(index):
            raise cls.missing(index)
        where = index / INDEX_FILE
        try:
            content = json.loads(where.read_text(encoding="utf-8"))
            version = decode(int, content["format"])
            newer = version > INDEX_FORMAT
            manifest = None if newer else decode(cls, content)
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            reason = f"no {error}" if isinstance(error, KeyError) else error
            raise RetrievalError(f"{where}: cannot be read ({reason}); make the index again") from error
        if manifest is None:
            writer = content.get("blipvino_version", "of an unknown version")
            raise RetrievalError(
                f"{where}: made by blipvino {writer} in format {version}, this version reads {INDEX_FORMAT}: upgrade "
                "blipvino"
            )
        return manifest

    @staticmethod
    def missing(index: Path) -> RetrievalError:
        """What to say of a folder that is no index."""
        problem = "is no index of photos" if index.exists() else "no such index"
        make = "`blipvino index FOLDER -o INDEX --bundle BUNDLE`"
        return RetrievalError(f"{index}: {problem}; make one with {make}")


def is_index(folder: Path) -> bool:
    """Whether a folder is an index, of whatever version."""
    try:
        return (folder / INDEX_FILE).is_file()
    except OSError:  # a name that is too long, a folder that is not to be entered
        return False
