"""Several processes that serve at one address: one that dies, or hangs, is replaced."""

from __future__ import annotations

import logging
import multiprocessing
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import connection
from multiprocessing.context import SpawnProcess
from types import FrameType

from prometheus_client.multiprocess import mark_process_dead

from blipvino.errors import BlipvinoError
from blipvino.machine.cores import usable_cores
from blipvino.machine.devices import CPU
from blipvino.serve.request_log import set_up_logs
from blipvino.serve.serve_metrics import SHARED_FOLDER
from blipvino.serve.serve_settings import ServeSettings
from blipvino.serve.server import hangups, serve
from blipvino.serve.supervision import Flag, Stethoscope, Supervision

LOAD_FAILURE = 3
"""Exit status of a worker whose models cannot be loaded."""
_TICK_SECONDS = 0.2
_LONG_ENOUGH_SECONDS = 30.0
"""A worker that lived so long is replaced at once; one that did not, after a pause that doubles."""
_LONGEST_PAUSE = 30.0
_MOST_EARLY_ENDS = 8
"""Workers that did not live long, one after the other, until there is no use in another."""
_LONGEST_SILENCE = 30.0
"""Without a heartbeat, after which a worker hangs: it is killed, so that what it holds is told to those who wait."""
_KILL_SECONDS = 5.0
"""Beyond the time for draining, after which a worker is killed."""

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class _Worker:
    process: SpawnProcess
    begun: float
    heart: Stethoscope
    loaded: Flag


class WorkerGroup:
    """Starts workers, replaces those that die or hang, and ends when it is told to.

    Args:
        settings: what each serves; ``workers`` says how many.
        sockets: that listen; all accept from them.
    """

    def __init__(self, settings: ServeSettings, sockets: Sequence[socket.socket]) -> None:
        self._settings = _shared_out(settings)
        self._sockets = list(sockets)
        self._context = multiprocessing.get_context("spawn")
        self._ready = Flag(self._context)
        self._workers: list[_Worker] = []
        self._pause, self._next_start = 0.0, 0.0
        self._early_ends = 0
        self._ending = False

    def run(self) -> int:
        """Serve until told to end.

        Returns:
            The exit status: 0, 2 if the models cannot be loaded, 1 if workers end again and again before they serve.
        """
        set_up_logs(self._settings.json_logs)
        with _shared_metrics(), self._signals():
            for _ in range(self._settings.workers):
                self._start(load_first=False)
            status = 0
            while not self._ending:
                connection.wait([worker.process.sentinel for worker in self._workers], _TICK_SECONDS)
                self._kill_silent()
                if self._bury() == LOAD_FAILURE and not self._workers:
                    status = 2
                    break
                if self._early_ends >= _MOST_EARLY_ENDS and not self._workers:
                    logger.error(
                        "%d workers ended soon after they began, the last of them now; no more are started",
                        self._early_ends,
                    )
                    status = 1
                    break
                self._replace()
                self._note_readiness()
            self._end()
        return status

    def _start(self, *, load_first: bool) -> None:
        supervision = Supervision(self._context, self._ready)
        arguments = (self._settings, self._sockets, load_first, supervision)
        process = self._context.Process(target=serve_worker, args=arguments, name="blipvino-worker")
        process.start()
        heart = Stethoscope(supervision.heartbeat)
        self._workers.append(_Worker(process, time.monotonic(), heart, supervision.loaded))

    def _kill_silent(self) -> None:
        """Kill the workers that hang: their connections break, and they are replaced as others that die."""
        for worker in self._workers:
            if worker.process.is_alive() and worker.heart.silence() > _LONGEST_SILENCE:
                logger.error("worker %s hangs: no sign of life for %.0f s", worker.process.pid, _LONGEST_SILENCE)
                worker.process.kill()
                worker.process.join(_KILL_SECONDS)

    def _bury(self) -> int | None:
        """Forget the workers that have died; the exit status of the last of them."""
        status = None
        for worker in [worker for worker in self._workers if not worker.process.is_alive()]:
            self._workers.remove(worker)
            status, pid = worker.process.exitcode, worker.process.pid
            if pid is not None:
                mark_process_dead(pid)  # type: ignore[no-untyped-call]
            logger.error("worker %s ended (%s)", pid, _ending_text(status))
            early = time.monotonic() - worker.begun <= _LONG_ENOUGH_SECONDS
            self._pause = min(_LONGEST_PAUSE, max(0.5, 2 * self._pause)) if early else 0.0
            self._early_ends = self._early_ends + 1 if early else 0
            self._next_start = time.monotonic() + self._pause
            worker.process.close()
        return status

    def _replace(self) -> None:
        if time.monotonic() < self._next_start:
            return
        while len(self._workers) < self._settings.workers:
            # Where others serve meanwhile, no request comes to one that is not ready.
            self._start(load_first=bool(self._workers))

    def _note_readiness(self) -> None:
        """Once all workers are loaded, somebody always is: whoever replaces another loads before it takes requests."""
        if len(self._workers) == self._settings.workers and all(worker.loaded.is_set for worker in self._workers):
            self._ready.set()

    def _end(self) -> None:
        """Have all answer what they accepted, and end."""
        for listening in self._sockets:
            listening.close()
        for worker in self._workers:
            worker.process.terminate()
        deadline = time.monotonic() + self._settings.drain_seconds + _KILL_SECONDS
        for worker in self._workers:
            worker.process.join(max(0.0, deadline - time.monotonic()))
            if worker.process.is_alive():
                logger.error("worker %s does not end; it is killed", worker.process.pid)
                worker.process.kill()
                worker.process.join()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def end(_number: int, _frame: FrameType | None) -> None:
            self._ending = True

        numbers = (signal.SIGTERM, signal.SIGINT, *hangups())
        before = {number: signal.signal(number, end) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def serve_worker(
    settings: ServeSettings, sockets: Sequence[socket.socket], load_first: bool, supervision: Supervision
) -> None:
    """Serve as one of several processes, as long as the one that started it lives."""
    threading.Thread(target=_end_with_parent, name="blipvino-parent", daemon=True).start()
    try:
        serve(settings, sockets, load_first=load_first, supervision=supervision)
    except BlipvinoError as error:
        logger.error("%s", error)
        sys.exit(LOAD_FAILURE)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)


def _shared_out(settings: ServeSettings) -> ServeSettings:
    """Settings for each of several workers: together they have as many threads as one would have."""
    engine = settings.engine
    if engine.threads is not None or engine.device != CPU:
        return settings
    return replace(settings, engine=replace(engine, threads=max(1, usable_cores() // settings.workers)))


@contextmanager
def _shared_metrics() -> Iterator[None]:
    """A folder in which the workers count together."""
    if SHARED_FOLDER in os.environ:  # the administrator's own
        yield
        return
    folder = tempfile.mkdtemp(prefix="blipvino-metrics-")
    os.environ[SHARED_FOLDER] = folder
    try:
        yield
    finally:
        del os.environ[SHARED_FOLDER]
        shutil.rmtree(folder, ignore_errors=True)


def _ending_text(status: int | None) -> str:
    if status is not None and status < 0:
        return f"by {signal.Signals(-status).name}"
    return f"with status {status}"
