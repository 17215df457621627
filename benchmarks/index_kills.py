"""Kill `blipvino index` at random moments, again and again, and look whether anything is lost or there twice.

python -m benchmarks.index_kills BUNDLE --kills 200

Before each kill some photos are added, changed, moved, copied and deleted, and now and then the index is removed; a
process of its own brings the index up to date, as `blipvino index` does, and is killed (SIGKILL) while it works. Then
what was in the index must be there, as it was, and nothing else than what the folder has; searching must work; no photo
may have changed by a bit. At last an update that is left alone must give the same as an index that is made anew. Graphs
of neighbours are made of few images here, so that writing these is interrupted, too.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from blipvino.demo.scenes import render, sample_scene
from blipvino.retrieval import PhotoIndex, neighbours, update_index
from blipvino.retrieval.index_manifest import is_index
from blipvino.retrieval.photo_reader import content_digest
from blipvino.retrieval.photo_records import PhotoRecords
from blipvino.runtime.loaded_model import DEFAULT_BATCH_SIZE
from blipvino.runtime.retriever import BlipRetriever

READY, GO, DONE = "ready", "go", "done"
ADDED, CHANGED, MOVED, COPIED, DELETED = 32, 6, 6, 2, 24
FRESH = 0.08
"""How often the index is removed before an update."""

State = dict[Path, tuple[bytes, bytes]]
"""Of each photo in an index the digest of its content, and its vector."""


@dataclass
class Library:
    """A folder of photos that changes.

    Attributes:
        folder: of the photos.
        rng: that chooses.
        made: scenes so far, of which there are no two.
    """

    folder: Path
    rng: random.Random
    made: int = 0
    digests: dict[Path, bytes] = field(default_factory=dict)

    def change(self) -> None:
        """Add, change, move, copy and delete some photos."""
        for _ in range(ADDED):
            self._write(self._place())
        for path in self._some(DELETED):
            path.unlink()
        for path in self._some(CHANGED):
            self._write(path)
        for path in self._some(MOVED):
            path.rename(self._place())
        for path in self._some(COPIED):
            shutil.copyfile(path, self._place())
        self.digests = {path: content_digest(path) for path in self.photos()}

    def photos(self) -> list[Path]:
        """All of them."""
        return sorted(path for path in self.folder.rglob("*.png") if path.is_file())

    def check_untouched(self) -> None:
        """No photo is another than after the last change."""
        found = {path: content_digest(path) for path in self.photos()}
        assert found == self.digests, "a photo was changed"

    def _some(self, count: int) -> list[Path]:
        photos = self.photos()
        return self.rng.sample(photos, min(count, len(photos)))

    def _place(self) -> Path:
        folder = self.folder / f"{self.rng.randrange(4)}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{self.rng.getrandbits(48):012x}.png"

    def _write(self, path: Path) -> None:
        self.made += 1
        pixels = render(sample_scene("train", self.made)).copy()
        pixels[0, 0] = self.made % 251, self.made // 251 % 251, 7  # no two alike
        Image.fromarray(pixels).save(path)


def state_of(index: Path) -> State:
    """What an index has, which is whole; nothing where there is none."""
    if not is_index(index):
        return {}
    records = PhotoRecords.open(index, write=False)
    try:
        assert records.db.execute("PRAGMA integrity_check").fetchone() == ("ok",), "the records are damaged"
        rows = records.db.execute(
            "SELECT roots.path, photos.path, digest, vector FROM photos JOIN roots ON roots.id = root "
            "JOIN images ON images.id = image"
        ).fetchall()
        unlinked = records.value("SELECT COUNT(*) FROM photos WHERE image NOT IN (SELECT id FROM images)")
        assert not unlinked, "a photo is without its vector"
    finally:
        records.close()
    paths = Counter(Path(root.decode()) / path.decode() for root, path, _, _ in rows)
    assert max(paths.values(), default=1) == 1, "a photo is there twice"
    return {Path(root.decode()) / path.decode(): (digest, vector) for root, path, digest, vector in rows}


def check_killed(index: Path, before: State, library: Library, vectors: dict[bytes, bytes]) -> State:
    """Compare an index with what it was before a process that wrote it was killed.

    Args:
        index: the index.
        before: its state before.
        library: its photos.
        vectors: of each content that was ever seen; the new ones are added.
    """
    after = state_of(index)
    for path, (digest, vector) in after.items():
        if (known := vectors.setdefault(digest, vector)) is not vector:
            close = np.allclose(np.frombuffer(known, np.float32), np.frombuffer(vector, np.float32), atol=1e-3)
            assert close, f"{path} has another vector than its content"
    for path, (digest, _) in before.items():
        if library.digests.get(path) == digest:
            assert after.get(path, (b"",))[0] == digest, f"{path} was in the index and is not any more"
    assert set(after) <= set(before) | set(library.digests), "the index has what there never was"
    library.check_untouched()
    if after:
        with PhotoIndex(index) as opened:
            seen = np.frombuffer(next(iter(after.values()))[1], np.float32)
            assert opened.nearest(seen, 1)[0][1] > 0.99, "what is in the index is not found"
    return after


def kill_often(worker: Sequence[str], folder: Path, kills: int, seed: int) -> Counter[str]:
    """Update an index of changing photos by processes that are killed, until so many were.

    Args:
        worker: the command of a process that says it is ready, waits for a line, updates, and says that it is done. It
            is given the photos' folder and the index.
        folder: to work in.
        kills: of processes that were at work.
        seed: of all that is random.

    Returns:
        How often what happened.
    """
    rng = random.Random(seed)
    photos, index = folder / "photos", folder / "index"
    library, vectors = Library(photos, rng), dict[bytes, bytes]()
    happened: Counter[str] = Counter()
    library.change()
    duration = _update(worker, photos, index, None)
    before = check_killed(index, {}, library, vectors)
    while happened["kills"] < kills:
        library.change()
        if rng.random() < FRESH:
            shutil.rmtree(index, ignore_errors=True)  # there is none where making it was killed
            before = {}
            happened["indexes removed"] += 1
        seconds = _update(worker, photos, index, rng.uniform(0, 1.1 * duration))
        happened["kills" if seconds == 0 else "updates that were faster"] += 1
        if seconds == 0 and happened["kills"] % 25 == 0:
            print(f"{happened['kills']:5} kills of {kills} so far, nothing lost", file=sys.stderr, flush=True)
        duration = duration if seconds == 0 else 0.5 * (duration + seconds)
        after = check_killed(index, before, library, vectors)
        happened["kills between two batches"] += bool(set(after) - set(before)) and seconds == 0
        before = after
    _update(worker, photos, index, None)
    settled = check_killed(index, before, library, vectors)
    _update(worker, photos, folder / "fresh", None)
    fresh = state_of(folder / "fresh")
    assert {path: digest for path, (digest, _) in settled.items()} == library.digests, "not as the folder is"
    assert {path: digest for path, (digest, _) in fresh.items()} == library.digests
    left = [path.name for path in folder.iterdir() if path.name.startswith(".")]
    left += [path.name for path in index.iterdir() if "partial" in path.name or path.name == "writer.json"]
    assert not left, f"left behind: {left}"
    happened["photos at the end"] = len(settled)
    happened["contents ever"] = len(vectors)
    return happened


def _update(worker: Sequence[str], photos: Path, index: Path, kill_after: float | None) -> float:
    """Seconds that an update took; 0 where it was killed first."""
    process = subprocess.Popen([*worker, photos, index], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None
    with process:
        assert process.stdout.readline().strip() == READY
        process.stdin.write(f"{GO}\n")
        process.stdin.flush()
        start = time.monotonic()
        if kill_after is not None:
            try:
                process.wait(kill_after)
            except subprocess.TimeoutExpired:
                process.kill()
                return 0
        assert process.stdout.readline().strip() == DONE
        seconds = time.monotonic() - start
    assert process.returncode == 0
    return seconds


def work(model: BlipRetriever, photos: Path, index: Path) -> None:
    """What a process does that is to be killed."""
    neighbours.WORTHWHILE, neighbours._TAIL = 50, 10
    print(READY, flush=True)
    assert sys.stdin.readline().strip() == GO
    update_index(index, [photos], model)
    print(DONE, flush=True)


def main() -> None:
    """Parse the command line; kill, or be what is killed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, help="of a checkpoint for retrieval, such as demo-retrieval")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", nargs=2, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work is not None:
        model = BlipRetriever.load(options.bundle, verify=False)
        # Graphs are compiled when they are first run, which is not what is to be interrupted.
        model.embed_images([np.full((9, 9, 3), shade, np.uint8) for shade in range(DEFAULT_BATCH_SIZE)])
        work(model, *options.work)
        return
    with TemporaryDirectory() as name:
        worker = [sys.executable, "-m", __spec__.name, str(options.bundle), "--work"]
        happened = kill_often(worker, Path(name), options.kills, options.seed)
    for what, count in happened.items():
        print(f"{count:5} {what}")
    print("Nothing was lost, nothing is there twice, no photo was changed.")


if __name__ == "__main__":
    main()
