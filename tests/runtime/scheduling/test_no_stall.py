"""A scheduler under all that can come: whatever is asked, given up or goes wrong, no job is left waiting.

What looks, reads and decodes is made up, so that nothing but the order of things takes time. An idle thread is not
woken by the clock here: a job that waits though nothing runs waits for ever, and is found.
"""

from __future__ import annotations

import random
import time
from concurrent.futures import CancelledError, ThreadPoolExecutor

import numpy as np
import pytest

from blipvino import GenerationOptions
from blipvino.errors import DeadlineError, InputError
from blipvino.runtime.features import ImageFeatures
from blipvino.runtime.scheduling.jobs import Caller, SharedImage, Source, TextJob
from blipvino.runtime.scheduling.scheduler import Scheduler
from blipvino.runtime.scheduling.watching import Load

PATIENCE = 60
"""Seconds after which a job is called stalled; all of a test take a few."""
SOURCE = Source(np.zeros((1, 1), np.float32), np.ones(1, np.int64))
FAILING = -1
"""The prompt of a job that cannot be done."""


class Chance:
    """Pauses by chance, of which the threads of one scheduler have their own."""

    def __init__(self, seed, longest):
        self._random, self._longest = random.Random(seed), longest

    def pause(self):
        if self._random.random() < 0.5:
            time.sleep(self._random.random() * self._longest)

    def happens(self, probability):
        return self._random.random() < probability


class MadeUpEncoder:
    """Looks and reads in no time, and now and then not at all."""

    def __init__(self, seed, window):
        self.window = window
        self._looking, self._reading = Chance(seed, 0.002), Chance(seed + 1, 0.001)

    def look(self, jobs):
        images = {job.image for job in jobs}
        assert len(images) <= self.window and all(job.image.pixels is not None for job in jobs)
        self._looking.pause()
        if self._looking.happens(0.02):
            raise InputError("these images cannot be looked at")
        for image in images:
            image.seen = ImageFeatures(np.zeros((1, 1), np.float32), "made up")

    def read(self, jobs):
        assert jobs and all(job.image.features is not None and job.source is None for job in jobs)
        self._reading.pause()
        if self._reading.happens(0.02):
            raise InputError("these questions cannot be read")
        for job in jobs:
            job.source = SOURCE


class MadeUpDecoder:
    """A text is the number of its job, after as many steps as its prompt says. A batch is a kind."""

    def __init__(self, seed):
        self._left = {}
        self._chance = Chance(seed, 0.001)

    @property
    def jobs(self):
        return list(self._left)

    @property
    def rows(self):
        return sum(job.options.num_beams for job in self.jobs)

    def begin(self, jobs, *, alone):
        assert not alone or len(jobs) == 1
        for job in jobs:
            assert job.source is SOURCE and job not in self._left
            job.caller.decoded += 1
            assert job.caller.decoded <= job.caller.together * 6  # of each kind
            self._left[job] = job.prompt[0]

    def end(self, job):
        del self._left[job]
        job.caller.decoded -= 1

    def clear(self):
        for job in self.jobs:
            self.end(job)

    def captions(self, batch):
        return batch.captions

    def next_batch(self, kinds):
        due = [job for job in self.jobs if job.kind in kinds]
        return min(due, key=lambda job: job.urgency).kind if due else None

    def step(self, batch):
        self._chance.pause()
        if self._chance.happens(0.002):
            raise RuntimeError("no memory for this step")
        rows = 0
        for job in self.jobs:
            if job.kind != batch:
                continue
            rows += job.options.num_beams
            self._left[job] -= 1
            if job.prompt[0] == FAILING:
                self.end(job)
                job.fail(InputError("this text cannot be made"))
            elif self._left[job] <= 0:
                self.end(job)
                job.finish(job.number)
        return rows


class Client:
    """Asks for texts by chance, gives some up, and waits for the others."""

    def __init__(self, scheduler, seed):
        self._scheduler = scheduler
        self._chance = random.Random(seed)
        self._known = [SharedImage(ImageFeatures(np.zeros((1, 1), np.float32), "made up")) for _ in range(3)]

    def ask(self, rounds):
        """Calls of one text or many, each after the other or before it has ended."""
        chance, waited, jobs = self._chance, [], []
        caller = Caller(1)
        for _ in range(rounds):
            if chance.random() < 0.7:
                caller = Caller(chance.choice([1, 1, 1, 2, 16, 40]))
            new = self._jobs(caller, chance.choice([1, 1, 1, 2, 5, 17, 60]))
            self._scheduler.submit(new)
            jobs += new
            waited += new
            if chance.random() < 0.3:
                for job in chance.sample(waited, len(waited) // 3):
                    job.result.cancel()
            if chance.random() < 0.6:
                for job in waited:
                    self._wait(job)
                waited = []
            else:
                time.sleep(chance.random() * 0.005)
        for job in waited:
            self._wait(job)
        return jobs

    def _jobs(self, caller, count):
        chance = self._chance
        one_kind, shared = chance.random() < 0.7, SharedImage(np.zeros((1, 1, 3), np.uint8))
        kind = self._kind()
        jobs = []
        for _ in range(count):
            captions, beams = kind if one_kind else self._kind()
            fresh = SharedImage(np.zeros((1, 1, 3), np.uint8))
            image = chance.choice([shared, fresh, chance.choice(self._known)])
            steps = FAILING if chance.random() < 0.02 else chance.choice([1, 1, 2, 3, 8])
            question, options = None if captions else [0], GenerationOptions(num_beams=beams)
            job = TextJob(caller, image, question, [steps], np.random.default_rng(0), options)
            job.priority = chance.choice([0, 0, 0, -3, 1])
            if chance.random() < 0.1:
                job.deadline = time.monotonic() + chance.random() * 0.02
            jobs.append(job)
        return jobs

    def _kind(self):
        return self._chance.random() < 0.5, self._chance.choice([1, 1, 3, 8])

    def _wait(self, job):
        try:
            assert job.result.result(PATIENCE) == job.number
        except (CancelledError, DeadlineError, InputError, RuntimeError):
            pass
        except TimeoutError:
            pytest.fail(f"a job of {job.kind} is stalled: {self._scheduler.load}")


@pytest.mark.parametrize("seed", range(6))
def test_no_job_is_left_waiting(monkeypatch, seed):
    monkeypatch.setattr("blipvino.runtime.scheduling.scheduler.IDLE_SECONDS", 10 * PATIENCE)
    chance = random.Random(seed)
    encoder = MadeUpEncoder(seed, window=chance.choice([1, 2, 8]))
    scheduler = Scheduler(encoder, MadeUpDecoder(seed), rows=chance.choice([1, 4, 16]))
    clients = [Client(scheduler, 100 * seed + number) for number in range(chance.choice([1, 3, 6]))]
    threads = ThreadPoolExecutor(len(clients))
    try:
        asking = [threads.submit(client.ask, 12) for client in clients]
        jobs = [job for each in asking for job in each.result()]
        assert all(job.result.done() for job in jobs)
        assert sum(not job.result.cancelled() and job.result.exception() is None for job in jobs) > len(jobs) // 10
        # Those that were given up are gone, too.
        until = time.monotonic() + PATIENCE
        while scheduler.load != Load(0, 0, 0, 0) and time.monotonic() < until:
            time.sleep(0.001)
        assert scheduler.load == Load(0, 0, 0, 0)
        assert all(job.caller.decoded == 0 for job in jobs)
    finally:
        threads.shutdown(wait=False)
        scheduler.close()
