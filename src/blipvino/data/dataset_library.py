"""The `datasets` package, which is an extra: opening datasets of the hub, their images left as they are stored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from blipvino.errors import DataError

IMAGE_COLUMNS = ("image", "img", "jpg", "png")
_SAVED = "state.json"
_SAVED_SPLITS = "dataset_dict.json"


@dataclass(frozen=True)
class DatasetName:
    """A dataset as it is asked for.

    Attributes:
        dataset: name on the hub, or a folder.
        config: the configuration, needed where a dataset has several.
        split: None takes "train" if the dataset has it, else "validation", else its first one.
    """

    dataset: str
    config: str | None = None
    split: str | None = None

    @classmethod
    def parse(cls, text: str) -> DatasetName:
        """From ``NAME[,CONFIG][@SPLIT]``."""
        name, _, split = text.partition("@")
        name, _, config = name.partition(",")
        return cls(name, config or None, split or None)

    def choose(self, splits: dict[str, Any]) -> str:
        """The name of the split that is asked for.

        Raises:
            DataError: there is no such split.
        """
        default = next((name for name in ("train", "validation") if name in splits), next(iter(splits)))
        chosen = self.split or default
        if chosen not in splits:
            raise DataError(f"hf:{self.dataset}: no split {self.split!r}; choose one of {', '.join(splits)}")
        return chosen


def open_splits(name: DatasetName) -> dict[str, Any]:
    """The splits of a dataset, streamed: nothing is downloaded but what is read.

    Args:
        name: of a dataset on the hub, or of a local folder that `datasets` can load.

    Raises:
        DataError: the `datasets` extra is missing, or the dataset or its configuration cannot be opened.
    """
    library = import_datasets()
    try:
        splits: dict[str, Any] = library.load_dataset(name.dataset, name.config, streaming=True)
    except Exception as error:  # the library and the network under it have no common base class
        raise unreadable(name.dataset, error) from error
    return splits


def open_saved_splits(folder: Path) -> dict[str, Any] | None:
    """The splits of a dataset that ``save_to_disk`` wrote, each in memory as far as it is read; None of another folder.

    A dataset without splits has one, ``train``.

    Raises:
        DataError: the `datasets` extra is missing, or the folder is damaged.
    """
    if not any((folder / name).is_file() for name in (_SAVED, _SAVED_SPLITS)):
        return None
    library = import_datasets()
    try:
        found: Any = library.load_from_disk(str(folder))
    except Exception as error:  # as above
        raise unreadable(str(folder), error) from error
    return found if isinstance(found, dict) else {"train": found}


def undecoded(rows: Any) -> Any:
    """A dataset with its image columns left as encoded bytes: small to hold, decoded only when asked for."""
    library = import_datasets()
    for column, feature in (rows.features or {}).items():
        if isinstance(feature, library.Image):
            rows = rows.cast_column(column, library.Image(decode=False))
    return rows


def import_datasets() -> ModuleType:
    """The package.

    Raises:
        DataError: it is missing.
    """
    try:
        import datasets  # noqa: PLC0415  an extra, and a second to import
    except ImportError as error:
        raise DataError(
            f"Hugging Face datasets need the `datasets` extra ({error}); pip install 'blipvino[datasets]'"
        ) from error
    module: ModuleType = datasets
    return module


def unreadable(dataset: str, error: Exception) -> DataError:
    """What went wrong with a dataset, in a line."""
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    if "scripts are no longer supported" in reason:
        return DataError(f"hf:{dataset}: it is a loading script; choose a dataset kept as files, like lmms-lab/VQAv2")
    return DataError(f"hf:{dataset}: cannot be read ({reason}); check its name, its configuration and the network")
