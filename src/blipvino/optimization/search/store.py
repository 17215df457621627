"""Compressed graphs on disk: each is compressed once, and shared by all recipes that have it."""

from __future__ import annotations

import gc
import os
import shutil
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import openvino as ov

from blipvino.bundle.search_record import Treatments
from blipvino.compress.storage import save_graph
from blipvino.errors import CompressionError
from blipvino.graphs.handover import hand_over_in_8_bits
from blipvino.graphs.specs import handing_over
from blipvino.machine.core import read_ir
from blipvino.recipe import Treatment

Compress = Callable[[str, Treatment], ov.Model]
"""Builds and treats the graph of this name."""
KEPT = 8
"""Treatments of one graph that are kept; one that is needed later is compressed again."""


class GraphStore:
    """The graphs of one checkpoint.

    Args:
        folder: where they lie; existing, and of nobody else.
        compress: makes them.
    """

    def __init__(self, folder: Path, compress: Compress) -> None:
        self._folder = folder
        self._compress = compress
        self._stems: dict[str, OrderedDict[Treatment, str]] = {}
        self._refused: dict[tuple[str, Treatment], CompressionError] = {}
        self._made = 0

    def size(self, name: str, treatment: Treatment) -> int:
        """Bytes of a graph's weights.

        Raises:
            CompressionError: NNCF cannot treat it so.
        """
        return self.graph(name, treatment).with_suffix(".bin").stat().st_size

    def graph(self, name: str, treatment: Treatment) -> Path:
        """The IR (.xml) of a graph as it is by itself.

        Raises:
            CompressionError: NNCF cannot treat it so.
        """
        stems = self._stems.setdefault(name, OrderedDict())
        if (name, treatment) in self._refused:
            raise self._refused[name, treatment]
        if treatment not in stems:
            self._made += 1
            try:
                model = self._compress(name, treatment)
            except CompressionError as error:
                self._refused[name, treatment] = error
                raise
            save_graph(model, self._folder / f"{name}-{self._made}.xml")
            stems[treatment] = f"{name}-{self._made}"
            del model
            gc.collect()  # a float graph and NNCF's copies of it take gigabytes
        stems.move_to_end(treatment)
        path = self._folder / f"{stems[treatment]}.xml"
        while len(stems) > KEPT:
            _, stem = stems.popitem(last=False)
            for suffix in (".xml", ".bin"):
                (self._folder / (stem + suffix)).unlink()
        return path

    def put(self, treatments: Treatments, folder: Path) -> None:
        """Put a recipe's graphs into a folder, as a bundle has them. What is on one file system is not copied.

        Raises:
            CompressionError: NNCF cannot treat a graph so.
        """
        paths = {name: self.graph(name, treatment) for name, treatment in treatments.items()}
        for pair in handing_over(list(paths)).items():
            reader, writer = (read_ir(paths.pop(name)) for name in pair)
            hand_over_in_8_bits(writer, reader)
            for name, model in zip(pair, (reader, writer), strict=True):
                save_graph(model, folder / f"{name}.xml")
        for name, path in paths.items():
            for suffix in (".xml", ".bin"):
                _link(path.with_suffix(suffix), folder / (name + suffix))


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)
