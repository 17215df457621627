"""Kill what writes sidecars and metadata at random moments, again and again, and look whether anything is lost.

python -m benchmarks.sidecar_kills --kills 200

An album of photos (JPEG, PNG, WebP, TIFF; some with words and sidecars of their owner's) is described by a process of
its own, by the code that `blipvino caption --sidecar txt --sidecar xmp --write-metadata` runs, with texts of its own
instead of a model's. It is killed (SIGKILL) while it writes: new files with --skip-existing, and over those that are
there with --overwrite, in turns. After every kill each photo must have its pixels, bit for bit, and each file must be
as it was or as it was to be; at most one half-written file may be left, hidden. Each album ends with a run that is
left alone: then every text is everywhere, once, and nothing half-written is left.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import random
import signal
import sys
import time
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from blipvino.files import partials
from blipvino.files.beside import FileWriter
from blipvino.photos.listing import list_photos
from blipvino.photos.photo_metadata import PhotoMetadata
from blipvino.photos.places import Describer
from blipvino.photos.text_sidecars import TextSidecars
from blipvino.photos.xmp import XmpTexts, new_xmp, read_xmp
from blipvino.photos.xmp_sidecars import XmpSidecars

_FORKED = multiprocessing.get_context("fork")
"""Starts processes that have everything imported, so that kills meet them at work."""
FORMS = {".jpg": "JPEG", ".png": "PNG", ".webp": "WEBP", ".tif": "TIFF"}
OWNERS_WORDS = "by hand"
PHOTOS, SIDE = 24, 160
LIVES = 5
"""Times that an album is written with --skip-existing, and as often with --overwrite, before it is left alone."""


def describe_album(album: Path, number: int, overwrite: bool) -> None:
    """What the process does that is killed: write texts to all places of all photos."""
    partials._SETTLED_SECONDS = 0  # what the last one left is tidied up at once
    files = FileWriter()
    places = (TextSidecars(files), XmpSidecars(files), PhotoMetadata(files))
    describer = Describer(places, skip_existing=not overwrite, overwrite=overwrite)
    for listed in list_photos([str(album)]):
        if not describer.is_done(listed.path):
            describer.describe(listed.path, text_of(listed.path, number))


def text_of(photo: Path, number: int) -> str:
    """The text that a photo gets by the run of this number."""
    return f"{photo.name} as run {number} sees it, {'very ' * (number % 7)}clearly"


def pixels_of(content: bytes) -> bytes:
    """A digest of a picture as it is decoded."""
    with Image.open(BytesIO(content)) as image:
        return hashlib.sha256(f"{image.size} {image.mode}".encode() + image.tobytes()).digest()


@dataclass
class Album:
    """Photos under attack.

    Attributes:
        folder: of the photos.
        pixels: a digest of each photo's picture, as it was made.
        owners: texts and XMP sidecars of the owner's, and their contents.
        numbers: of the runs that may have written.
    """

    folder: Path
    pixels: dict[Path, bytes]
    owners: dict[Path, bytes]
    numbers: list[int]

    @classmethod
    def made(cls, folder: Path, rng: np.random.Generator) -> Album:
        """A new album of random pictures."""
        folder.mkdir()
        album = cls(folder, {}, {}, [])
        for number in range(PHOTOS):
            suffix = list(FORMS)[number % len(FORMS)]
            path = folder / f"photo{number}{suffix}"
            Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)).save(path, FORMS[suffix])
            album.pixels[path] = pixels_of(path.read_bytes())
            if number % 5 == 0:
                album.owners[path.with_suffix(".txt")] = OWNERS_WORDS.encode()
            if number % 7 == 0:
                album.owners[path.with_name(f"{path.name}.xmp")] = new_xmp(XmpTexts(None, OWNERS_WORDS))
        for path, content in album.owners.items():
            path.write_bytes(content)
        return album

    def problems(self, *, overwritten: bool, complete: bool) -> list[str]:
        """What is wrong now.

        Args:
            overwritten: whether the owner's words may have been replaced.
            complete: whether the last run was left alone, and so all must be there.
        """
        found = []
        known = {*self.pixels}
        for photo, pixels in self.pixels.items():
            allowed = {text_of(photo, number) for number in self.numbers}
            if pixels_of(photo.read_bytes()) != pixels:
                found.append(f"{photo.name}: other pixels")
            sidecar, xmp = photo.with_suffix(".txt"), photo.with_name(f"{photo.name}.xmp")
            known |= {sidecar, xmp}
            if not self._is_right(sidecar, {f"{text}\n".encode() for text in allowed}, overwritten, complete):
                found.append(
                    f"{sidecar.name}: {sidecar.read_bytes()[:80]!r}" if sidecar.exists() else f"no {sidecar.name}"
                )
            found += self._xmp_problems(xmp, allowed, overwritten, complete)
            if complete and not PhotoMetadata(FileWriter()).has_description(photo):
                found.append(f"{photo.name}: no description in it")
        others = [path.name for path in self.folder.iterdir() if path not in known]
        if [name for name in others if not name.endswith(".partial")] or len(others) > (0 if complete else 1):
            found.append(f"left over: {others}")
        return found

    def _is_right(self, path: Path, allowed: set[bytes], overwritten: bool, complete: bool) -> bool:
        """Whether a text is the owner's, where it was and was not to be replaced, or a whole one of ours."""
        if not path.exists():
            return path not in self.owners and not complete
        own = self.owners.get(path)
        content = path.read_bytes()
        return content == own if own is not None and not overwritten else content in allowed | {own}

    def _xmp_problems(self, path: Path, allowed: set[str], overwritten: bool, complete: bool) -> list[str]:
        if not path.exists():
            return [f"no {path.name}"] if path in self.owners or complete else []
        try:
            texts = read_xmp(path.read_bytes())
        except ValueError as error:
            return [f"{path.name}: {error}"]
        alt_texts = {OWNERS_WORDS} if path in self.owners and not overwritten else allowed | {OWNERS_WORDS}
        whole = texts.description in allowed or (texts.description is None and path in self.owners and not complete)
        return [] if whole and texts.alt_text in alt_texts else [f"{path.name}: {texts}"]


@dataclass
class Toll:
    """What came of the kills.

    Attributes:
        kills: processes that were killed while they wrote.
        survived: those that were faster.
        caught: kills that left a half-written file, hidden.
        albums: that were written to the end.
        problems: whatever was wrong.
    """

    kills: int = 0
    survived: int = 0
    caught: int = 0
    albums: int = 0
    problems: tuple[str, ...] = ()


def run(album: Album, number: int, overwrite: bool, delay: float | None) -> bool:
    """Describe an album in a process of its own, which is killed after so many seconds of writing.

    Returns:
        Whether it was killed before it ended.
    """
    album.numbers.append(number)
    process = _FORKED.Process(target=describe_album, args=(album.folder, number, overwrite))
    process.start()
    if delay is not None:
        time.sleep(delay)
        process.kill()
    process.join()
    if delay is None and process.exitcode:
        raise SystemExit(f"a run that was left alone ended with status {process.exitcode}")
    return process.exitcode == -signal.SIGKILL


def kill_again_and_again(kills: int, seed: int, work: Path) -> Toll:
    """Kill as many writing processes as asked, in as many albums as it takes."""
    toll, rng, arrays = Toll(), random.Random(seed), np.random.default_rng(seed)
    number, longest = 0, {False: 0.0, True: 0.0}
    PhotoMetadata(FileWriter())  # imports Exiv2, before processes are forked
    warm_up = Album.made(work / "warm-up", arrays)
    for overwrite in longest:
        started = time.perf_counter()
        run(warm_up, number, overwrite, None)
        longest[overwrite] = time.perf_counter() - started
    while toll.kills < kills and not toll.problems:
        album = Album.made(work / f"album{toll.albums}", arrays)
        for overwrite in (False, True):
            for _ in range(LIVES):
                if toll.kills >= kills or toll.problems:
                    break
                number += 1
                killed = run(album, number, overwrite, rng.uniform(0, longest[overwrite] / (1 if overwrite else 2)))
                toll.kills += killed
                toll.survived += not killed
                toll.caught += any(path.suffix == ".partial" for path in album.folder.iterdir())
                toll.problems += tuple(album.problems(overwritten=overwrite, complete=False))
            number += 1
            run(album, number, overwrite, None)
            toll.problems += tuple(album.problems(overwritten=overwrite, complete=True))
        toll.albums += 1
    return toll


def main() -> None:
    """Parse the command line, kill, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        toll = kill_again_and_again(asked.kills, asked.seed, Path(folder))
    print(
        f"{toll.kills} kills in {toll.albums} albums of {PHOTOS} photos ({toll.survived} runs were faster); "
        f"{toll.caught} left a half-written file, hidden, which the next run removed; {len(toll.problems)} problems"
    )
    for problem in toll.problems:
        print(f"  {problem}")
    sys.exit(bool(toll.problems))


if __name__ == "__main__":
    main()
