"""A contender that writes down when it is called, and races of such."""

import os
import time
from functools import partial

from filelock import FileLock

from blipvino.measure.race.race import Race
from blipvino.measure.race.worker import Worker


class Fake:
    """Writes down each call with the time, by a clock that all processes share."""

    def __init__(self, name, log, fault=""):
        self.name, self.log, self.fault, self.calls = name, log, fault, 0

    def caption(self, images, new_tokens):
        self.calls += 1
        with self.log.open("a") as file:
            file.write(f"{time.monotonic_ns()} {self.name} {len(images)} {os.getpid()}\n")
        if self.calls == 2 and self.fault == "raise":
            raise ValueError("no more\nof this")
        if self.calls == 2 and self.fault == "die":
            os._exit(7)
        return [[0] * (new_tokens - (self.fault == "short"))] * len(images)

    def answer(self, images, questions, new_tokens):
        return [[1] * new_tokens for _ in questions]

    def prepare_image(self, image):
        self.prepared = image

    def answer_again(self, question, new_tokens):
        assert self.prepared is not None
        return [[2] * new_tokens]

    def graph_seconds(self, image, question):
        return {"vision": 1.0, "step": 0.5}


def race(tmp_path, names, pace, **faults):
    log = tmp_path / "calls"
    loads = {name: partial(Fake, name, log, faults.get(name, "")) for name in names}
    return Race([Worker(name, load, tmp_path / f"{name}.log") for name, load in loads.items()], pace), log


def calls(log):
    return [line.split()[1] for line in sorted(log.read_text().splitlines())]


def hold(path):
    """Hold a file's lock as long as this process lives, and longer than any test; the file tells that it is held."""
    with FileLock(f"{path}.lock"):
        path.touch()
        time.sleep(600)
