"""Compressing the same checkpoint by the same recipe again takes ten seconds and shows nothing new: graphs are kept.

All else of `optimize` is done each time: options and sources are checked, samples are read, files written and verified.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from blipvino.optimization import optimize as optimizing


@dataclass
class Kept:
    """Files that were written for a checkpoint and a recipe, and what is recorded of them.

    Attributes:
        store: a folder for them.
        records: of each, by what it was made of.
    """

    store: Path
    records: dict[tuple[str, str], tuple[Path, dict, dict]] = field(default_factory=dict)

    def install(self, patch):
        """Have `optimize` find what it made before."""
        write_graphs, write_golden = optimizing._write_graphs, optimizing._write_golden

        def graphs(compressor, recipe, folder, reporter):
            key = (compressor._checkpoint.sha256, str(recipe.treatments))
            if key not in self.records:
                before = set(folder.iterdir())
                write_graphs(compressor, recipe, folder, reporter)
                made = self._keep(set(folder.iterdir()) - before)
                self.records[key] = (made, dict(compressor.fp16_bytes), dict(compressor.seconds))
            made, sizes, seconds = self.records[key]
            shutil.copytree(made, folder, dirs_exist_ok=True)
            compressor.fp16_bytes.update(sizes)
            compressor.seconds.update(seconds)

        def golden(checkpoint, processors, folder, seen, reporter):
            sizes = sorted((path.name, path.stat().st_size) for path in folder.glob("*.bin"))
            key = (checkpoint.sha256, f"golden {sizes}")
            if key not in self.records:
                write_golden(checkpoint, processors, folder, seen, reporter)
                self.records[key] = (self._keep([folder / optimizing.GOLDEN_FILE]), {}, {})
            shutil.copytree(self.records[key][0], folder, dirs_exist_ok=True)

        patch.setattr(optimizing, "_write_graphs", graphs)
        patch.setattr(optimizing, "_write_golden", golden)

    def _keep(self, paths):
        place = self.store / str(len(self.records))
        place.mkdir()
        for path in paths:
            shutil.copy(path, place)
        return place
