"""The texts of one call, in its order, as they are done; kept ahead of by what is read and encoded meanwhile."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from typing import Protocol

from blipvino.runtime.decoding.generated import GeneratedTokens
from blipvino.runtime.scheduling.jobs import TextJob
from blipvino.runtime.scheduling.scheduler import Scheduler


class Arriving(Protocol):
    """An iterator that knows whether it would have to be waited for."""

    def has_arrived(self) -> bool:
        """Whether the next item, or the end, is there."""


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
    trouble: Exception | None = None
    has_arrived = getattr(jobs, "has_arrived", lambda: True)
    try:
        while True:
            while submitted and (len(submitted) >= ahead or submitted[0].result.done() or not has_arrived()):
                yield submitted.popleft().result.result()
            try:
                job = next(jobs)
            except StopIteration:
                break
            except Exception as error:  # the iterator's own, whatever it is
                trouble = error
                break
            scheduler.submit([job])
            submitted.append(job)
        while submitted:
            yield submitted.popleft().result.result()
        if trouble is not None:
            raise trouble
    finally:
        for job in submitted:
            job.result.cancel()
