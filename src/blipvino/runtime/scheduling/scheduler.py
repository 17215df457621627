"""One queue for the texts of all callers, and three threads that work on it: one looks at images, one reads questions
about images that were looked at, and one decodes.
"""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Collection, Sequence

from blipvino.errors import OverloadError
from blipvino.runtime.scheduling.decoding import JobDecoder
from blipvino.runtime.scheduling.encoding import JobEncoder
from blipvino.runtime.scheduling.jobs import Caller, SharedImage, TextJob, TextKind
from blipvino.runtime.scheduling.turns import Turns, Work
from blipvino.runtime.scheduling.watching import Load, Watch

DEFAULT_ROWS = 16
"""Rows of text that are decoded at a time: more are hardly faster, and all wait longer."""
IDLE_SECONDS = 2.0
"""After so long without work the threads end; they begin again with the next text."""

_running: weakref.WeakSet[Scheduler] = weakref.WeakSet()


class Scheduler:
    """Generates texts. Which texts are decoded beside one another changes none of them.

    Args:
        encoder: finds what texts are about.
        decoder: makes them.
        rows: of a kind of texts that are decoded at a time, unless one caller asks for more.
        longest: jobs that may wait at the most; None is any number.
        watch: is told what is done.
        turns: in which its threads work; by default one at a time.
    """

    def __init__(
        self,
        encoder: JobEncoder,
        decoder: JobDecoder,
        rows: int = DEFAULT_ROWS,
        longest: int | None = None,
        watch: Watch | None = None,
        turns: Turns | None = None,
    ) -> None:
        self._encoder = encoder
        self._decoder = decoder
        self._rows = rows
        self._longest = longest
        self._watch = watch
        self._turns = turns or Turns()
        self._changed = threading.Condition()
        self._unseen: list[TextJob] = []
        self._looking: list[TextJob] = []
        self._seen: list[TextJob] = []
        self._reading: list[TextJob] = []
        self._ready: list[TextJob] = []
        self._turn = 0
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
            waiting = len(self._unseen) + len(self._seen) + len(self._ready)
            if self._longest is not None and waiting + len(jobs) > self._longest:
                raise OverloadError(f"{self._longest} texts are waiting already; try again later")
            now = time.monotonic()
            for job in jobs:  # who comes now does not wait for all that others brought before
                job.turn = job.caller.turn = max(job.caller.turn, self._turn) + 1
                job.times.submitted = now
            self._unseen += [job for job in jobs if job.image.features is None]
            self._seen += [job for job in jobs if job.image.features is not None]
            self._start()
            self._changed.notify_all()

    @property
    def load(self) -> Load:
        """What it is busy with now."""
        with self._changed:
            return Load(len(self._unready), len(self._ready), len(self._decoder.jobs), self._decoder.rows)

    def close(self) -> None:
        """End the threads. What is not done by then is cancelled."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            threads = list(self._threads)
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join()
        for job in (*self._unready, *self._ready, *self._decoder.jobs):
            job.result.cancel()

    def _start(self) -> None:
        """Have all threads running."""
        alive = {thread.name for thread in self._threads if thread.is_alive()}
        stages = (
            ("look", self._look, self._take_unseen),
            ("read", self._read, self._take_seen),
            ("decode", self._decode, self._take_ready),
        )
        for name, *stage in stages:
            if f"blipvino-{name}" not in alive:
                # Daemons, which no program waits for that ends with an exception; `close` ends them before it is too
                # late.
                thread = threading.Thread(target=self._run, args=stage, name=f"blipvino-{name}", daemon=True)
                self._threads.add(thread)
                thread.start()
        _running.add(self)

    def _run(self, work: Callable[[], bool], take: Callable[[], list[TextJob]]) -> None:
        """Work until there is nothing to do. Whatever goes wrong nobody waits for ever, and the thread goes on.

        Args:
            work: that is done over and over; False ends it.
            take: those who wait for it, and wait no longer.
        """
        while True:
            try:
                if not work():
                    return
            except Exception as error:
                with self._changed:
                    jobs = take()
                    self._changed.notify_all()
                for job in jobs:
                    job.fail(error)

    def _take_unseen(self) -> list[TextJob]:
        jobs = [*self._looking, *self._unseen]
        self._looking, self._unseen = [], []
        return jobs

    def _take_seen(self) -> list[TextJob]:
        jobs = [*self._reading, *self._seen]
        self._reading, self._seen = [], []
        return jobs

    def _take_ready(self) -> list[TextJob]:
        jobs = [*self._ready, *self._decoder.jobs]
        self._ready = []
        self._decoder.clear()
        return jobs

    def _look(self) -> bool:
        with self._changed:
            if not self._await(lambda: self._may_look):
                return False
            jobs = self._looking = self._next_to_look_at()
        self._encode(Work.IMAGES, jobs, self._encoder.look)
        with self._changed:
            # Others may be about the same image.
            self._seen += [job for job in (*jobs, *self._unseen) if job.image.features is not None]
            self._unseen = [job for job in self._unseen if job.image.features is None]
            self._looking = []
            self._changed.notify_all()
        return True

    @property
    def _may_look(self) -> bool:
        return any(self._has_room(kind) for kind in {job.kind for job in self._unseen})

    def _has_room(self, kind: TextKind) -> bool:
        """What was looked at takes memory: no more than one batch of a kind is kept ahead."""
        ahead = (*self._seen, *self._reading, *self._ready)
        return sum(job.kind == kind for job in ahead) < self._most_rows(kind)

    def _next_to_look_at(self) -> list[TextJob]:
        self._unseen = [job for job in self._unseen if not job.drop_late()]
        images: list[SharedImage] = []
        kinds = {kind for kind in {job.kind for job in self._unseen} if self._has_room(kind)}
        for job in sorted((job for job in self._unseen if job.kind in kinds), key=lambda job: job.urgency):
            if job.image not in images and len(images) < self._encoder.window:
                images.append(job.image)
        return self._taken(self._unseen, [job for job in self._unseen if job.image in images])

    def _read(self) -> bool:
        with self._changed:
            if not self._await(lambda: bool(self._kinds_to_read)):
                return False
            jobs = self._reading = self._next_to_read()
        self._encode(Work.ANSWERS, jobs, self._encoder.read)
        made = [job for job in jobs if job.source is not None]
        if self._watch is not None and made:
            self._watch.encoded(len(made), max(job.times.worked for job in made))
        for job in made:
            job.times.ready = time.monotonic()
        with self._changed:
            self._reading = []
            self._ready += made
            self._changed.notify_all()
        return True

    def _encode(self, work: Work, jobs: Sequence[TextJob], encode: Callable[[Sequence[TextJob]], None]) -> None:
        """Look at images or read questions, in a turn; whatever goes wrong is of these jobs, and others go on."""
        with self._turns.turn(work):
            begun = time.monotonic()
            for job in jobs:
                job.times.encoding = job.times.encoding or begun
            try:
                if jobs:
                    encode(jobs)
            except Exception as error:
                for job in jobs:
                    job.fail(error)
            seconds = time.monotonic() - begun
        for job in jobs:
            job.times.worked += seconds

    @property
    def _kinds_to_read(self) -> set[TextKind]:
        """Kinds of which no whole batch is read already: what nobody may want any more by then is not read ahead."""
        ready, kinds = _by_kind(self._ready), {job.kind for job in self._seen}
        return {kind for kind in kinds if self._rows_of(kind, ready.get(kind, [])) < self._most_rows(kind)}

    def _next_to_read(self) -> list[TextJob]:
        """As many as can then be decoded at a time, whatever images they are about: they are read side by side."""
        self._seen = [job for job in self._seen if not job.drop_late()]
        kinds = self._kinds_to_read
        urgent = sorted((job for job in self._seen if job.kind in kinds), key=lambda job: job.urgency)
        return self._taken(self._seen, urgent[: self._most_rows(urgent[0].kind)]) if urgent else []

    def _taken(self, queue: list[TextJob], chosen: list[TextJob]) -> list[TextJob]:
        """Jobs of a queue that are worked on now, and wait in it no longer."""
        self._turn = max([self._turn, *(job.turn for job in chosen)])
        for job in chosen:
            queue.remove(job)
        return chosen

    def _decode(self) -> bool:
        with self._changed:
            if not self._await(lambda: bool(self._due_kinds)):
                return False
            kinds = self._due_kinds
            gone = [job for job in self._decoder.jobs if job.is_given_up]
            joining, alone = self._next_to_decode(kinds, gone)
        try:
            for job in gone:
                self._decoder.end(job)
                job.drop_late()
            for job in joining:
                job.times.decoding = time.monotonic()
            if joining:
                with self._turns.turn(_work_of(all(job.kind.captions for job in joining))):
                    self._decoder.begin(joining, alone=alone)
            self._step(kinds)
        except Exception as error:  # those that are ready may still be decoded
            for job in (*joining, *self._decoder.jobs):
                job.fail(error)
            self._decoder.clear()
        return True

    def _step(self, kinds: Collection[TextKind]) -> None:
        batch = self._decoder.next_batch(kinds)
        if batch is None:
            return
        with self._turns.turn(_work_of(self._decoder.captions(batch))):
            begun = time.monotonic()
            rows = self._decoder.step(batch)
        if self._watch is not None:
            self._watch.stepped(rows, time.monotonic() - begun)

    @property
    def _due_kinds(self) -> list[TextKind]:
        """Kinds of texts that may take a step: others wait for those that can still join.

        A step of many rows takes hardly longer than one of few. So texts of calls that bring more wait for these.
        Captions wait for others by whom their rows are at least doubled; no longer, so that where little is asked
        little is waited for. Answers wait for all questions about known images, which are soon read, and for no image
        that somebody else asks about.
        """
        here, known = _by_kind([*self._ready, *self._decoder.jobs]), _by_kind([*self._seen, *self._reading])
        unseen, looked_at = _by_kind([*self._looking, *self._unseen]), _by_kind(self._looking)
        kinds = list[TextKind]()
        for kind, mine in here.items():
            # What is not looked at before something here is done does not come.
            new = (unseen if self._has_room(kind) else looked_at).get(kind, [])
            read = known.get(kind, [])
            callers = {job.caller for job in mine}
            bring_more = callers <= {job.caller for job in (*read, *new)}
            if not kind.captions:
                new = [job for job in new if bring_more and job.caller in callers]
            rows = self._rows_of(kind, mine)
            more = self._rows_of(kind, [*mine, *read, *new]) - rows
            if more <= 0 or (kind.captions and not bring_more and more < rows):
                kinds.append(kind)
        return kinds

    def _rows_of(self, kind: TextKind, jobs: Sequence[TextJob]) -> int:
        """Of so many jobs of a kind, as many as may be decoded at a time."""
        rows: dict[Caller, list[int]] = {}
        for job in jobs:
            rows.setdefault(job.caller, []).append(job.options.num_beams)
        return min(self._most_rows(kind), sum(sum(beams[: caller.together]) for caller, beams in rows.items()))

    def _next_to_decode(self, kinds: Collection[TextKind], gone: Sequence[TextJob]) -> tuple[list[TextJob], bool]:
        """Jobs that join now, the most urgent first, as many of a kind as there is room for; they are ready no more.

        Also whether it is one of which nothing else is to be expected meanwhile.
        """
        waiting = len(self._ready)
        self._ready = [job for job in self._ready if not job.drop_late()]
        chosen = [job for kind in kinds for job in self._joining(kind, gone)]
        left = [job for job in self._ready if job not in chosen]
        others = (*self._unready, *left, *self._decoder.jobs)
        alone = len(chosen) == 1 and chosen[0].caller.together == 1
        alone = alone and all(job.kind != chosen[0].kind for job in others)
        self._ready = left
        if len(left) < waiting:
            self._changed.notify_all()  # there is room for others to be looked at
        return chosen, alone

    def _joining(self, kind: TextKind, gone: Sequence[TextJob]) -> list[TextJob]:
        decoded = [job for job in self._decoder.jobs if job.kind == kind and job not in gone]
        most, chosen = self._most_rows(kind) // kind.beams, list[TextJob]()
        taken = Counter(job.caller for job in decoded)
        for job in sorted((job for job in self._ready if job.kind == kind), key=lambda job: job.urgency):
            if len(decoded) + len(chosen) >= max(1, most):
                break
            if taken[job.caller] < job.caller.together:
                chosen.append(job)
                taken[job.caller] += 1
        return chosen

    @property
    def _unready(self) -> list[TextJob]:
        """Jobs whose images or questions have not been looked at."""
        return [*self._unseen, *self._looking, *self._seen, *self._reading]

    def _most_rows(self, kind: TextKind) -> int:
        """Of a kind that are decoded at a time now."""
        known = (job for job in (*self._unready, *self._ready, *self._decoder.jobs) if job.kind == kind)
        return max([self._rows, *(job.caller.together * kind.beams for job in known)])

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
        return bool(self._unready or self._ready or self._decoder.jobs)


def _by_kind(jobs: Sequence[TextJob]) -> dict[TextKind, list[TextJob]]:
    kinds: dict[TextKind, list[TextJob]] = {}
    for job in jobs:
        kinds.setdefault(job.kind, []).append(job)
    return kinds


def _work_of(captions: bool) -> Work:
    return Work.CAPTIONS if captions else Work.ANSWERS


@atexit.register
def _close_all() -> None:
    """End all threads before the interpreter goes: OpenVINO's graphs must not be run then."""
    for scheduler in list(_running):
        scheduler.close()
