"""One queue for the texts of all callers, and two threads that work on it: one encodes while the other decodes."""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from blipvino.errors import DeadlineError, OverloadError
from blipvino.runtime.scheduling.decoding import JobDecoder
from blipvino.runtime.scheduling.encoding import JobEncoder
from blipvino.runtime.scheduling.jobs import Caller, SharedImage, TextJob

DEFAULT_ROWS = 16
"""Rows of text that are decoded at a time: more are hardly faster, and all wait longer."""
IDLE_SECONDS = 2.0
"""After so long without work the threads end; they begin again with the next text."""

_running: weakref.WeakSet[Scheduler] = weakref.WeakSet()


@dataclass(frozen=True)
class Load:
    """What a scheduler is busy with.

    Attributes:
        waiting: jobs whose images or questions have not been looked at.
        ready: jobs that wait for a place in a batch.
        decoded: texts that are being decoded.
        rows: of them all.
    """

    waiting: int
    ready: int
    decoded: int
    rows: int


class Watch(Protocol):
    """Is told what a scheduler does, in the threads that do it, which it must not hold up."""

    def encoded(self, texts: int, seconds: float) -> None:
        """What so many texts are about was looked at, together."""

    def stepped(self, rows: int, seconds: float) -> None:
        """So many rows of text got their next token."""


class Scheduler:
    """Generates texts. Which texts are decoded beside one another changes none of them.

    Args:
        encoder: finds what texts are about.
        decoder: makes them.
        rows: that are decoded at a time, unless one caller asks for more.
        longest: jobs that may wait at the most; None is any number.
        watch: is told what is done.
    """

    def __init__(
        self,
        encoder: JobEncoder,
        decoder: JobDecoder,
        rows: int = DEFAULT_ROWS,
        longest: int | None = None,
        watch: Watch | None = None,
    ) -> None:
        self._encoder = encoder
        self._decoder = decoder
        self._rows = rows
        self._longest = longest
        self._watch = watch
        self._changed = threading.Condition()
        self._waiting: list[TextJob] = []
        self._turn = 0
        self._encoding: list[TextJob] = []
        self._ready: list[TextJob] = []
        self._threads: set[threading.Thread] = set()
        self._closed = False

    def submit(self, jobs: Sequence[TextJob]) -> None:
        """Put jobs into the queue, all of them or none.

        Raises:
            OverloadError: too many are waiting, or the scheduler was closed.
        """
        with self._changed:
            if self._closed:
                raise OverloadError("this model is being closed; no more texts are taken")
            if self._longest is not None and len(self._waiting) + len(self._ready) + len(jobs) > self._longest:
                raise OverloadError(f"{self._longest} texts are waiting already; try again later")
            now = time.monotonic()
            for job in jobs:  # who comes now does not wait for all that others brought before
                job.turn = job.caller.turn = max(job.caller.turn, self._turn) + 1
                job.times.submitted = now
            self._waiting += jobs
            self._start()
            self._changed.notify_all()

    @property
    def load(self) -> Load:
        """What it is busy with now."""
        with self._changed:
            waiting = len(self._waiting) + len(self._encoding)
            return Load(waiting, len(self._ready), len(self._decoder.jobs), self._decoder.rows)

    def close(self) -> None:
        """End the threads. What is not done by then is cancelled."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            threads = list(self._threads)
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join()
        for job in (*self._waiting, *self._ready, *self._decoder.jobs):
            job.result.cancel()

    def _start(self) -> None:
        """Have both threads running."""
        alive = {thread.name for thread in self._threads}
        for name, work in (("blipvino-encode", self._encode), ("blipvino-decode", self._decode)):
            if name not in alive:
                # Daemons, which no program waits for that ends with an exception; `close` ends them before it is too
                # late.
                thread = threading.Thread(target=work, name=name, daemon=True)
                self._threads.add(thread)
                thread.start()
        _running.add(self)

    def _encode(self) -> None:
        while True:
            with self._changed:
                if not self._await(lambda: self._may_encode):
                    return
                jobs = self._next_to_encode()
                self._encoding = jobs
            begun = time.monotonic()
            try:
                self._encoder.encode(jobs)
            except Exception as error:  # whatever it is, it is of these jobs, and others go on
                for job in jobs:
                    job.fail(error)
            ended = time.monotonic()
            for job in jobs:
                job.times.encoding, job.times.ready = begun, ended
            if self._watch is not None:
                self._watch.encoded(len(jobs), ended - begun)
            with self._changed:
                self._encoding = []
                self._ready += [job for job in jobs if job.source is not None]
                self._changed.notify_all()

    @property
    def _may_encode(self) -> bool:
        """What is encoded takes memory: no more than one batch is kept ahead."""
        return bool(self._waiting) and len(self._ready) < self._most_rows

    def _next_to_encode(self) -> list[TextJob]:
        self._waiting = [job for job in self._waiting if not _dropped(job)]
        images: list[SharedImage] = []
        for job in sorted(self._waiting, key=lambda job: job.urgency):
            if job.image not in images and len(images) < self._encoder.window:
                images.append(job.image)
        # What is asked about one image is read at once.
        chosen = [job for job in self._waiting if job.image in images][: self._most_rows]
        self._turn = max([self._turn, *(job.turn for job in chosen)])
        self._waiting = [job for job in self._waiting if job not in chosen]
        return chosen

    def _decode(self) -> None:
        while True:
            with self._changed:
                if not self._await(lambda: self._may_step):
                    return
                gone = [job for job in self._decoder.jobs if job.is_given_up]
                joining = self._next_to_decode(gone)
                busy = self._decoder.jobs or self._waiting or self._encoding or self._ready
                alone = len(joining) == 1 and joining[0].caller.together == 1 and not busy
                if joining:
                    self._changed.notify_all()  # there is room for others to be encoded
            for job in gone:
                self._decoder.end(job)
                _dropped(job)
            for job in joining:
                job.times.decoding = time.monotonic()
            try:
                self._decoder.begin(joining, alone=alone)
                self._step()
            except Exception as error:  # whatever it is, nobody must wait for ever
                for job in (*joining, *self._decoder.jobs):
                    job.fail(error)
                self._decoder.clear()

    def _step(self) -> None:
        begun = time.monotonic()
        rows = self._decoder.step()
        if self._watch is not None and rows:
            self._watch.stepped(rows, time.monotonic() - begun)

    @property
    def _may_step(self) -> bool:
        """A step of many rows takes hardly longer than one of few: those that can still join are waited for."""
        if not self._ready and not self._decoder.jobs:
            return False
        return not (self._waiting or self._encoding) or self._rows_of(
            (*self._ready, *self._decoder.jobs)
        ) >= self._rows_of((*self._waiting, *self._encoding, *self._ready, *self._decoder.jobs))

    def _rows_of(self, jobs: Sequence[TextJob]) -> int:
        """Of so many jobs, as many as may be decoded at a time."""
        rows: dict[Caller, list[int]] = {}
        for job in jobs:
            rows.setdefault(job.caller, []).append(job.options.num_beams)
        return min(self._most_rows, sum(sum(beams[: caller.together]) for caller, beams in rows.items()))

    def _next_to_decode(self, gone: Sequence[TextJob]) -> list[TextJob]:
        """Jobs that join now, the most urgent first, as many as there is room for; these are ready no longer."""
        self._ready = [job for job in self._ready if not _dropped(job)]
        rows = self._decoder.rows - sum(job.options.num_beams for job in gone)
        most, chosen = self._most_rows, list[TextJob]()
        joining: dict[Caller, int] = {}
        for job in sorted(self._ready, key=lambda job: job.urgency):
            caller, beams = job.caller, job.options.num_beams
            if caller.decoded + joining.get(caller, 0) >= caller.together:
                continue
            if rows and rows + beams > most:
                break  # it would wait for ever if others went first
            chosen.append(job)
            rows += beams
            joining[caller] = joining.get(caller, 0) + 1
        self._ready = [job for job in self._ready if job not in chosen]
        return chosen

    @property
    def _most_rows(self) -> int:
        """That are decoded at a time now."""
        known = (*self._waiting, *self._encoding, *self._ready, *self._decoder.jobs)
        return max([self._rows, *(job.caller.together * job.options.num_beams for job in known)])

    def _await(self, is_due: Callable[[], bool]) -> bool:
        """Wait until there is something to do. False: there has been nothing at all for a while, or it was closed."""
        while not self._closed and not is_due():
            if not self._changed.wait(IDLE_SECONDS) and not self._has_work:
                break
        if not self._closed and is_due():
            return True
        self._threads.discard(threading.current_thread())
        return False

    @property
    def _has_work(self) -> bool:
        return bool(self._waiting or self._encoding or self._ready or self._decoder.jobs)


def _dropped(job: TextJob) -> bool:
    """Whether nobody waits for a job any more; one that is late is told so."""
    if job.result.cancelled():
        return True
    if job.is_late:
        job.fail(DeadlineError("the time that was given for this text is over"))
        return True
    return False


@atexit.register
def _close_all() -> None:
    """End all threads before the interpreter goes: OpenVINO's graphs must not be run then."""
    for scheduler in list(_running):
        scheduler.close()
