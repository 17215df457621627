"""What the evaluations of all kinds of bundles have in common, and their file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from blipvino.errors import DataError
from blipvino.files.atomic import write_text
from blipvino.files.json_records import decode
from blipvino.files.sample_files import read_json

RESULTS_FILE = "evaluation.json"


@dataclass(frozen=True)
class Model:
    """One of the two that are evaluated.

    Attributes:
        name: its recipe ("FP16" for one that is not compressed), or a result file's name.
        place: the bundle's folder, the checkpoint that the original was made from, or the result file.
        fingerprint: of the bundle; None of a result file.
        precision: of the arithmetic that is not quantized; None of a result file.
    """

    name: str
    place: str
    fingerprint: str | None = None
    precision: str | None = None


@dataclass(frozen=True)
class EvaluationRecord:
    """An evaluation of a bundle, beside its original or alone.

    Attributes:
        compressed: what was evaluated.
        original: what it is compared with; None without.
    """

    compressed: Model
    original: Model | None

    @property
    def names(self) -> tuple[str, ...]:
        """What to call the models, the original first."""
        return tuple(model.name for model in (self.original, self.compressed) if model is not None)

    def to_json(self) -> dict[str, Any]:
        """Everything."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """What `to_json` gave, after its way through JSON."""
        return decode(cls, content)

    def write(self, folder: Path) -> None:
        """Write ``evaluation.json``.

        Raises:
            OutputError: it cannot be written.
        """
        write_text(folder / RESULTS_FILE, json.dumps(self.to_json(), indent=2, ensure_ascii=False) + "\n")

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read what `write` wrote.

        Raises:
            DataError: it cannot be read, or is something else.
        """
        content = read_json(file)
        try:
            return cls.from_json(content)
        except (KeyError, TypeError) as error:
            raise DataError(
                f"{file}: not a {cls.__name__} of this version ({error}); run `blipvino evaluate` again"
            ) from error
