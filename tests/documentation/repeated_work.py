"""Compressing the same checkpoint by the same recipe again takes ten seconds and shows nothing new: graphs are kept.

All else of `optimize` is done each time: options and sources are checked, samples are read, files written and verified.
"""

from __future__ import annotations

import hashlib
import pickle
import shutil
from dataclasses import dataclass
from pathlib import Path

from made_once import locked

from blipvino.optimization import optimize as optimizing


@dataclass(frozen=True)
class Kept:
    """Files that were written for a checkpoint and a recipe, and what is recorded of them, for all workers of a run.

    Attributes:
        store: a folder for them.
    """

    store: Path

    def install(self, patch):
        """Have `optimize` find what it made before."""
        write_graphs, write_golden = optimizing._write_graphs, optimizing._write_golden

        def graphs(compressor, recipe, folder, reporter):
            def make():
                before = set(folder.iterdir())
                write_graphs(compressor, recipe, folder, reporter)
                return set(folder.iterdir()) - before, (dict(compressor.fp16_bytes), dict(compressor.seconds))

            key = f"{compressor._checkpoint.sha256} {recipe.treatments}"
            sizes, seconds = self._copied(key, folder, make)
            compressor.fp16_bytes.update(sizes)
            compressor.seconds.update(seconds)

        def golden(checkpoint, processors, folder, seen, reporter):
            def make():
                write_golden(checkpoint, processors, folder, seen, reporter)
                return [folder / optimizing.GOLDEN_FILE], None

            sizes = sorted((path.name, path.stat().st_size) for path in folder.glob("*.bin"))
            self._copied(f"{checkpoint.sha256} golden {sizes}", folder, make)

        patch.setattr(optimizing, "_write_graphs", graphs)
        patch.setattr(optimizing, "_write_golden", golden)

    def _copied(self, key, folder, make):
        """What is recorded of files, which are in the folder then: made, or copied."""
        place = self.store / hashlib.sha256(key.encode()).hexdigest()[:16]
        with locked(place):
            record = place.with_suffix(".record")
            if not record.exists():
                paths, recorded = make()
                place.mkdir(exist_ok=True)
                for path in paths:
                    shutil.copy(path, place)
                record.write_bytes(pickle.dumps(recorded))
            shutil.copytree(place, folder, dirs_exist_ok=True)
            return pickle.loads(record.read_bytes())
