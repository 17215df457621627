"""What callers who come one by one get, beside one that brings everything at once.

python -m benchmarks.concurrency BUNDLE
python -m benchmarks.concurrency BUNDLE --texts 32 --tokens 20 --rounds 5

Captions of images that were never seen, and answers to questions about images that were: made one after the other
("alone"), by one call in batches of 8 and of 16, by eight threads with one text each at a time, and by sixteen tasks of
asyncio. All in turn, round by round; the medians of texts a second, and their ratio to batches of 8. Texts of ``demo``
end by themselves; those of random weights have all their tokens.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice

import numpy as np

from benchmarks.serving.workload import QUESTIONS
from blipvino import AsyncBlip, Blip, EngineOptions
from blipvino.arrays import Pixels
from blipvino.machine.host import this_host
from blipvino.runtime.features import ImageFeatures

Way = Callable[[int], object]


class Captions:
    """Captions of new images."""

    def __init__(self, blip: Blip, texts: int, tokens: int) -> None:
        self._blip = blip
        self._tokens = tokens
        self._rng = np.random.default_rng(0)
        self._count = texts

    def _images(self) -> list[Pixels]:
        size = self._blip.config.vision.image_size
        return [self._rng.integers(0, 256, (size, size, 3), np.uint8) for _ in range(self._count)]

    def alone(self, _: int) -> None:
        """One after the other."""
        for image in self._images():
            self._blip.caption(image, max_new_tokens=self._tokens)

    def batches(self, size: int) -> None:
        """One call."""
        self._blip.caption(self._images(), batch_size=size, max_new_tokens=self._tokens)

    def threads(self, count: int) -> None:
        """So many threads."""
        with ThreadPoolExecutor(count) as pool:
            list(pool.map(lambda image: self._blip.caption(image, max_new_tokens=self._tokens), self._images()))

    def tasks(self, count: int) -> None:
        """So many tasks."""
        model = AsyncBlip(self._blip)
        asyncio.run(_in_tasks(count, [model.caption(image, max_new_tokens=self._tokens) for image in self._images()]))


class Answers:
    """Answers about images that were looked at, to the questions that servers are asked under load."""

    def __init__(self, blip: Blip, texts: int, tokens: int, images: int) -> None:
        self._blip = blip
        self._tokens = tokens
        size, rng = blip.config.vision.image_size, np.random.default_rng(1)
        pixels = [rng.integers(0, 256, (size, size, 3), np.uint8) for _ in range(min(texts, images))]
        looked: list[ImageFeatures] = blip.features(pixels)
        every = [(image, question) for question in QUESTIONS for image in looked]
        self.asked = list(islice(cycle(every), texts))

    def alone(self, _: int) -> None:
        """One after the other."""
        for asked in self.asked:
            self._answer(asked)

    def batches(self, size: int) -> None:
        """One call."""
        images, questions = zip(*self.asked, strict=True)
        self._blip.answer(list(images), list(questions), batch_size=size, max_new_tokens=self._tokens)

    def threads(self, count: int) -> None:
        """So many threads."""
        with ThreadPoolExecutor(count) as pool:
            list(pool.map(self._answer, self.asked))

    def tasks(self, count: int) -> None:
        """So many tasks."""
        model = AsyncBlip(self._blip)
        asked = [model.answer(image, question, max_new_tokens=self._tokens) for image, question in self.asked]
        asyncio.run(_in_tasks(count, asked))

    def _answer(self, asked: tuple[ImageFeatures, str]) -> None:
        image, question = asked
        self._blip.answer(image, question, max_new_tokens=self._tokens)


async def _in_tasks(count: int, calls: Sequence[Coroutine[None, None, object]]) -> None:
    room = asyncio.Semaphore(count)

    async def run(call: Coroutine[None, None, object]) -> None:
        async with room:
            await call

    await asyncio.gather(*map(run, calls))


def measure(work: Captions | Answers, texts: int, rounds: int, chosen: Sequence[str] | None = None) -> dict[str, float]:
    """Median texts a second of each way, or of those that are chosen."""
    ways: dict[str, tuple[Way, int]] = {
        "alone": (work.alone, 1),
        "batches of 8": (work.batches, 8),
        "batches of 16": (work.batches, 16),
        "8 threads": (work.threads, 8),
        "16 tasks": (work.tasks, 16),
    }
    ways = {name: way for name, way in ways.items() if chosen is None or name in chosen}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, (way, size) in ways.items():
            start = time.perf_counter()
            way(size)
            if number:
                seconds[name].append(time.perf_counter() - start)
    return {name: texts / statistics.median(found) for name, found in seconds.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("--texts", type=int, default=32, help="of a round")
    parser.add_argument("--tokens", type=int, default=20, help="of a caption at the most; of an answer 3")
    parser.add_argument("--images", type=int, default=8, help="that questions of a round are about")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ways", nargs="+", help="of those above; all by default")
    parser.add_argument("--cache", default="out/cache", help="folder for compiled graphs")
    options = parser.parse_args()
    print(this_host().label)
    blip = Blip.load(options.bundle, options=EngineOptions(cache=options.cache), image_cache_bytes=0)
    works: dict[str, Captions | Answers] = {"captions": Captions(blip, options.texts, options.tokens)}
    if blip.config.answers_questions:
        works["further answers"] = Answers(blip, options.texts, 3, options.images)
    for name, work in works.items():
        rates = measure(work, options.texts, options.rounds, options.ways)
        for way, rate in rates.items():
            beside = f", {rate / rates['batches of 8']:.2f} of batches of 8" if "batches of 8" in rates else ""
            print(f"{name}, {way}: {rate:.2f} a second{beside}")


if __name__ == "__main__":
    main()
