"""The texts of one call, in its order, as they are done; kept ahead of by what is read and encoded meanwhile."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator

from blipvino.runtime.arriving import arrival_of
from blipvino.runtime.decoding.generated import GeneratedTokens
from blipvino.runtime.scheduling.jobs import TextJob
from blipvino.runtime.scheduling.scheduler import Scheduler


def texts_in_order(scheduler: Scheduler, jobs: Iterator[TextJob], ahead: int) -> Generator[GeneratedTokens]:
    """Submit jobs as they come, and give their texts in order. When it is closed, what is not done is given up.

    An error of the iterator is raised when its turn comes: what came before it counts.

    Args:
        scheduler: does them.
        jobs: taken from no further ahead than this. What has arrived of those that are `Arriving` is done while the
            rest is waited for.
        ahead: jobs that are submitted at a time.

    Raises:
        BlipvinoError: a text cannot be made; raised when its turn comes.
    """
    submitted: deque[TextJob] = deque()
    coming = _Coming(jobs)
    try:
        while True:
            # As many as there is room for at once, so that what begins together is decoded together.
            new = coming.take(ahead - len(submitted), wait=not submitted)
            if new:
                submitted += new
                scheduler.submit(new)
            elif not submitted:
                break
            while submitted and (len(submitted) >= ahead or submitted[0].result.done() or not coming.has_arrived()):
                yield submitted.popleft().result.result()
        if coming.trouble is not None:
            raise coming.trouble
    finally:
        for job in submitted:
            job.result.cancel()


class _Coming:
    """The jobs that are still to be submitted.

    Attributes:
        trouble: the error that they ended with.
    """

    def __init__(self, jobs: Iterator[TextJob]) -> None:
        self._jobs = jobs
        self._arrived = arrival_of(jobs)
        self._have_ended = False
        self.trouble: Exception | None = None

    def has_arrived(self) -> bool:
        """Whether there is one to be taken now; none ever is again after the end."""
        return not self._have_ended and self._arrived()

    def take(self, most: int, *, wait: bool) -> list[TextJob]:
        """The next, as many as have arrived; at least one if it is to be waited for, and there is any."""
        taken: list[TextJob] = []
        while len(taken) < most and not self._have_ended and ((wait and not taken) or self._arrived()):
            try:
                taken.append(next(self._jobs))
            except StopIteration:
                self._have_ended = True
            except Exception as error:  # the iterator's own, whatever it is; it is raised in its turn
                self._have_ended, self.trouble = True, error
        return taken
