"""A contender in a process of its own: it loads when first asked, and runs and times what it is sent."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from blipvino.measure.race.contender import Contender
from blipvino.measure.race.work import Outcome, Task, perform

TIMEOUT = 900
"""Seconds after which a contender that has not answered is given up."""

Load = Callable[[], Contender]
"""Makes a contender; it travels to the worker's process, so it is a function of a module, or a partial of one."""
Result = TypeVar("Result")

_spawning = multiprocessing.get_context("spawn")  # a forked process would inherit this one's threads' locks


class ContenderError(Exception):
    """A contender failed. Its message is one line; the worker's log has the traceback."""


class Worker:
    """One contender's process. What it prints goes to its log. Use it in a ``with``, or close it."""

    def __init__(self, name: str, load: Load, log: Path) -> None:
        self.name = name
        self._load = load
        self._log = log
        self._process: Any = None
        self._connection: Any = None

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The process, if there is one."""
        return None if self._process is None else int(self._process.pid)

    def run(self, task: Task) -> Outcome:
        """Do a task; the first one starts the process and loads the contender.

        Raises:
            ContenderError: the contender raised an exception, fell silent or died. Its process is gone then.
        """
        if self._process is None:
            self._start()
        try:
            self._connection.send(task)
            if not self._connection.poll(TIMEOUT):
                raise ContenderError(f"no answer in {TIMEOUT} s")
            answer = self._connection.recv()
        except (EOFError, OSError) as error:
            raise ContenderError(f"its process ended ({self._exit_code()}); see {self._log}") from error
        if isinstance(answer, Outcome):
            return answer
        self.close()
        raise ContenderError(str(answer))

    def close(self) -> None:
        """End the process, if there is one."""
        if self._process is None:
            return
        self._connection.close()
        self._process.kill()  # it holds nothing that must be put away
        self._process.join()
        self._process = None

    def _start(self) -> None:
        self._connection, theirs = _spawning.Pipe()
        process = _spawning.Process(target=_serve, args=(theirs, self._load, self._log), name=self.name, daemon=True)
        process.start()
        self._process = process  # from here on there is something to kill
        theirs.close()

    def _exit_code(self) -> str:
        self._process.join(5)
        return f"exit code {self._process.exitcode}"


def run_apart(function: Callable[..., Result], *arguments: Any, log: Path) -> Result:
    """Call a function in a fresh process, which takes its memory and its printing with it when it ends.

    Raises:
        ContenderError: the process died. What the function raises comes through as it is.
    """
    with ProcessPoolExecutor(1, mp_context=_spawning, initializer=_become_worker, initargs=(log,)) as pool:
        try:
            return pool.submit(function, *arguments).result()
        except BrokenProcessPool as error:
            raise ContenderError(f"its process died; see {log}") from error
        except (KeyboardInterrupt, SystemExit):  # the latter: the parent's SIGTERM
            for process in (pool._processes or {}).values():  # it ignores Ctrl-C, so that one process reports it
                process.kill()
            raise


def _serve(connection: Connection, load: Load, log: Path) -> None:
    _become_worker(log)
    contender: Contender | None = None
    for task in _requests(connection):
        try:
            contender = contender or load()
            connection.send(perform(contender, task))
        except Exception as error:  # whatever goes wrong is this contender's result
            traceback.print_exc()
            connection.send(_one_line(error))


def _requests(connection: Connection) -> Iterator[Task]:
    with contextlib.suppress(EOFError, OSError):  # the parent is gone
        while True:
            yield connection.recv()


def _become_worker(log: Path) -> None:
    """Leave Ctrl-C to the parent, end when it ends, and send all that libraries print, from C too, to the log."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(descriptor, stream)


def _end_with_parent() -> None:
    """A killed parent ends no child, and a pool's child holds both ends of its queues: it would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _one_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
