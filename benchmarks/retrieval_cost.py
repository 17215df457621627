"""What an index costs beside the model alone: indexing beside embedding, a search beside the matches in it.

python -m benchmarks.retrieval_cost BUNDLE
python -m benchmarks.retrieval_cost BUNDLE --photos 32 --vectors 100000 --rerank 32 --rounds 5

Indexing: new photos (JPEG files of 640 x 480, none like another) are indexed into a new index, and beside it the same
photos, read and resized before, are embedded in batches: the bare throughput of the graphs.
A search: of an index of many vectors, each with a file of its own, the nearest to a text are found and ranked. Beside
it only the matching is done: of the same photos, read from the same files ("files"), or of what was seen in them
("kept"), as a search that finds photos again has it. Both sides in turn, round by round; the medians are told, and
their ratio. The model's own cache of images is off.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from benchmarks.vector_sets import CHUNK, write_vectors
from blipvino.arrays import Pixels
from blipvino.machine.host import this_host
from blipvino.retrieval import PhotoIndex, SearchOptions, search_photos, update_index
from blipvino.retrieval.index_manifest import IndexManifest
from blipvino.retrieval.neighbours import update_neighbours
from blipvino.retrieval.photo_records import PhotoRecords
from blipvino.runtime.loaded_model import DEFAULT_BATCH_SIZE
from blipvino.runtime.retriever import BlipRetriever

SIZE = (640, 480)
DIFFERENT = 64
"""Photos behind the files of the large index."""
TEXT = "a red circle above a square"


@dataclass(frozen=True)
class Pair:
    """Seconds of two ways, round by round.

    Attributes:
        bare: of the model alone.
        whole: of all that is done.
    """

    bare: list[float]
    whole: list[float]

    @property
    def ratio(self) -> float:
        """The whole by the bare, of medians."""
        return statistics.median(self.whole) / statistics.median(self.bare)


def write_photo(path: Path, number: int) -> Path:
    """A photo-like JPEG: clouds of noise in several sizes, no two alike."""
    rng = np.random.default_rng(number)
    noise = [Image.fromarray(rng.integers(0, 256, (side * 3 // 4, side, 3), np.uint8)) for side in (4, 16, 64, 320)]
    layers = [np.asarray(image.resize(SIZE, Image.Resampling.BICUBIC), np.float32) for image in noise]
    weights = np.array([0.5, 0.3, 0.15, 0.05], np.float32)
    mixed = sum(weight * layer for weight, layer in zip(weights, layers, strict=True))
    Image.fromarray(np.asarray(mixed, np.uint8)).save(path, "JPEG", quality=90)
    return path


def in_turn(rounds: int, bare: Callable[[int], object], whole: Callable[[int], object]) -> Pair:
    """Time two ways, in turn, after a round that is not counted."""
    pair = Pair([], [])
    for number in range(rounds + 1):
        for way, seconds in ((bare, pair.bare), (whole, pair.whole)):
            start = time.perf_counter()
            way(number)
            if number:
                seconds.append(time.perf_counter() - start)
    return pair


def indexing(model: BlipRetriever, folder: Path, photos: int, rounds: int) -> Pair:
    """Embedding pixels, and indexing files."""
    sources = folder / "new"
    sources.mkdir()
    paths = [write_photo(sources / f"{number}.jpg", number) for number in range(photos)]
    pixels = model.images.pixels(paths)

    def embed(_: int) -> None:
        for batch in _batches(pixels):
            model.embed_images(list(batch))

    def index(number: int) -> None:
        update_index(folder / f"index-{number}", [sources], model)

    return in_turn(rounds, embed, index)


def large_index(model: BlipRetriever, folder: Path, count: int) -> Path:
    """An index of made-up vectors, each with a file: names of a few photos."""
    sources = folder / "many"
    sources.mkdir()
    width = model.config.image_text_hidden_size
    vectors = write_vectors(folder / "vectors.npy", count, width).vectors()
    originals = [write_photo(folder / f"original-{number}.jpg", number) for number in range(DIFFERENT)]
    index = folder / "large-index"
    update_index(index, [_empty(folder / "none")], model)
    records = PhotoRecords.open(index, write=True)
    try:
        with records.transaction() as db:
            root = db.execute("INSERT INTO roots (path) VALUES (?)", (os.fsencode(sources.resolve()),)).lastrowid
        for first in range(0, count, CHUNK):
            numbers = range(first, min(first + CHUNK, count))
            for number in numbers:
                (sources / f"{number}.jpg").hardlink_to(originals[number % DIFFERENT])
            with records.transaction() as db:
                db.executemany(
                    "INSERT INTO images (id, digest, vector) VALUES (?, ?, ?)",
                    ((number + 1, number.to_bytes(16, "big"), vectors[number].tobytes()) for number in numbers),
                )
                db.executemany(
                    "INSERT INTO photos (root, path, size, mtime_ns, image) VALUES (?, ?, 0, 0, ?)",
                    ((root, f"{number}.jpg".encode(), number + 1) for number in numbers),
                )
        start = time.perf_counter()
        update_neighbours(index, records, IndexManifest.read(index).width)
        print(f"the graph of {count:,} neighbours is made in {time.perf_counter() - start:.1f} s")
    finally:
        records.close()
    return index


def searching(model: BlipRetriever, index: Path, rerank: int, rounds: int, *, kept: bool) -> Pair:
    """Matching, and searching with it."""
    options = SearchOptions(hits=rerank, rerank=rerank, keep_bytes=10**10 if kept else 0)
    with PhotoIndex(index) as opened:
        found = [hit.path for hit in search_photos(opened, model, TEXT, options=options).hits]
        seen = model.features(list(found)) if kept else []

        def match(_: int) -> None:
            # Features anew, without the keys and values that the last round made of them.
            model.match([type(one)(one.image_embeds, one.model) for one in seen] if kept else list(found), TEXT)

        def search(_: int) -> None:
            search_photos(opened, model, TEXT, options=options)

        return in_turn(rounds, match, search)


def opening(model: BlipRetriever, index: Path) -> float:
    """Seconds to open an index and find the nearest to a text in it, nothing ranked."""
    start = time.perf_counter()
    with PhotoIndex(index) as opened:
        search_photos(opened, model, TEXT, options=SearchOptions(rerank=0))
    return time.perf_counter() - start


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, help="of a checkpoint for retrieval")
    parser.add_argument("--photos", type=int, default=32, help="that are indexed in a round")
    parser.add_argument("--vectors", type=int, default=100_000, help="of the index that is searched")
    parser.add_argument("--rerank", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    model = BlipRetriever.load(options.bundle, image_cache_bytes=0, verify=False)
    print(f"{this_host().cpu}, {os.cpu_count()} cores; {options.bundle.name}")
    with TemporaryDirectory() as name:
        folder = Path(name)
        pair = indexing(model, folder, options.photos, options.rounds)
        speeds = [options.photos / statistics.median(seconds) for seconds in (pair.bare, pair.whole)]
        print(
            f"embedding {speeds[0]:.2f} photos/s, indexing {speeds[1]:.2f}: {1 / pair.ratio:.1%} of the bare throughput"
        )
        index = large_index(model, folder, options.vectors)
        model.embed_texts([TEXT])
        print(f"opened, and the nearest of {options.vectors:,} found, in {opening(model, index) * 1e3:.0f} ms")
        for kept, what in ((False, "files"), (True, "kept")):
            pair = searching(model, index, options.rerank, options.rounds, kept=kept)
            medians = [statistics.median(seconds) for seconds in (pair.bare, pair.whole)]
            print(
                f"{what}: {options.rerank} matches {medians[0]:.3f} s, the search of {options.vectors:,} vectors "
                f"{medians[1]:.3f} s: {pair.ratio:.2f} times"
            )


def _batches(pixels: Pixels) -> Sequence[Pixels]:
    return [pixels[first : first + DEFAULT_BATCH_SIZE] for first in range(0, len(pixels), DEFAULT_BATCH_SIZE)]


def _empty(folder: Path) -> Path:
    folder.mkdir()
    return folder


if __name__ == "__main__":
    main()
