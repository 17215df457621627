"""A Ray cluster for the time of a job: one that is there already, or one of this machine alone."""

from __future__ import annotations

import importlib
import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from blipvino.checks import integer
from blipvino.errors import InputError
from blipvino.runtime.compiling.engine_options import MAX_THREADS

logger = logging.getLogger(__name__)

INSTALL_RAY = "pip install 'blipvino[ray]'"
_CLIENT = "ray://"
_ADDRESS = "RAY_ADDRESS"
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}
"""Variables that Ray reads when it starts. They stay as they are where the user has set them: nobody is told of the
use, and standard error is not told what Ray's own processes do."""
BESIDE = 2
"""CPUs beside those of the first engine: one passes over rows that are done, one reads, decodes and writes."""
_CONNECT_SECONDS = 10.0
_STANDARD_ERROR = 2
_MOST_CPUS = 8
"""CPUs of an engine by default, at the most: a large node runs several, which share its memory of files."""


@dataclass(frozen=True)
class RayOptions:
    """How a job uses Ray.

    Attributes:
        address: of a cluster, ``host:port`` or ``auto``; None is ``$RAY_ADDRESS``, or else a cluster of this machine
            alone, which ends with the job.
        cpus: that each engine reserves, and computes with; by default as many as the smallest node has beside one for
            reading, 8 at the most, and on this machine alone all.
        workers: engines at the least.
        max_workers: engines at the most; by default as many as the cluster has CPUs for, now and when it grows.
    """

    address: str | None = None
    cpus: int | None = None
    workers: int = 1
    max_workers: int | None = None

    def __post_init__(self) -> None:
        """Check it.

        Raises:
            InputError: a number is out of its range, or the address is of Ray Client.
        """
        integer("--ray-workers", self.workers, 1)
        if self.cpus is not None:
            integer("--ray-cpus", self.cpus, 1, MAX_THREADS)
        if self.max_workers is not None:
            integer("--ray-max-workers", self.max_workers, self.workers)
        if (self.found_address or "").startswith(_CLIENT):
            raise InputError(
                f"{self.found_address}: Ray Data does not run by Ray Client; run blipvino on the cluster instead, such "
                "as by `ray job submit -- blipvino batch …`"
            )

    @property
    def found_address(self) -> str | None:
        """The address that was given, here or by the environment."""
        return self.address or os.environ.get(_ADDRESS) or None


@dataclass(frozen=True)
class RayCluster:
    """A cluster that the process is connected to.

    Attributes:
        node_cpus: CPUs of each node that has any, least first.
        engine_cpus: of an engine of the job.
        engines: at the least, and at the most; None is as many as there are CPUs for.
        is_own: whether it is of this machine alone, and ends with the job.
        put: takes an object into the object store.
    """

    node_cpus: tuple[int, ...]
    engine_cpus: int
    engines: tuple[int, int | None]
    is_own: bool
    put: Callable[[Any], Any] = field(repr=False)

    @property
    def send(self) -> Callable[[Any], Any] | None:
        """As `put`, of what nodes may not have; None where this machine is all of them."""
        return None if self.is_own else self.put

    @property
    def shares_nodes(self) -> bool:
        """Whether several engines may run on one node, so that their threads must not be bound to cores.

        Of nodes that an autoscaler still has to add nothing is known: then they may.
        """
        return self.engines[1] != 1 and 2 * self.engine_cpus <= max(self.node_cpus, default=2 * MAX_THREADS)


@contextmanager
def ray_session(options: RayOptions, *, object_store_bytes: int | None = None) -> Iterator[RayCluster]:
    """Be connected to a cluster while the block runs.

    A cluster of this machine alone is started, and ended with all its processes. It tells nobody of its use, unless
    ``$RAY_USAGE_STATS_ENABLED`` says otherwise.

    Args:
        options: which one.
        object_store_bytes: memory of a cluster of this machine alone for what is on its way; by default as Ray chooses.

    Raises:
        InputError: Ray is missing, the cluster cannot be reached, or has too few CPUs.
    """
    check_installed()
    import ray  # noqa: PLC0415  # reads the variables

    if ray.is_initialized():
        raise InputError("this process is connected to Ray already; call ray.shutdown() first")
    try:
        own = options.found_address is None
        with _hushed():
            if own:
                _start_here(ray, options, object_store_bytes)
            else:
                check_answers(options)
                _connect(ray, str(options.found_address))
        nodes = sorted(int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"])
        nodes = [cpus for cpus in nodes if cpus]
        cpus = _own_cpus(options) if own else _engine_cpus(options, nodes)
        most = options.max_workers or (options.workers if own else None)
        yield RayCluster(tuple(nodes), cpus, (options.workers, most), own, ray.put)
    finally:
        ray.shutdown()


@contextmanager
def _hushed() -> Iterator[None]:
    """Keep off standard error that Ray's library has read its own variables, which it says there when it starts."""
    kept, nowhere = os.dup(_STANDARD_ERROR), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, _STANDARD_ERROR)
        yield
    finally:
        os.dup2(kept, _STANDARD_ERROR)
        os.close(kept)
        os.close(nowhere)


def check_installed() -> None:
    """Check that Ray Data is.

    Raises:
        InputError: it is not.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        importlib.import_module("ray.data")
    except ImportError as error:
        raise InputError(f"--engine ray needs {error.name}: {INSTALL_RAY}") from error


def _start_here(ray: Any, options: RayOptions, object_store_bytes: int | None) -> None:
    """Start a cluster of this machine. Its CPUs are a count, not cores: engines are given every core, others share."""
    try:
        ray.init(
            address="local",
            num_cpus=_own_cpus(options) * (options.max_workers or options.workers) + BESIDE,
            object_store_memory=object_store_bytes,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
        )
    except Exception as error:  # it raises no class of its own, where its processes do not start in time
        raise InputError(
            f"Ray cannot be started on this machine ({_reason(error)}); give the command again when it has less to do, "
            "or leave --engine ray out"
        ) from error


def check_answers(options: RayOptions) -> None:
    """Check that something listens where the cluster should be: Ray itself would try for many minutes.

    Raises:
        InputError: nothing does.
    """
    address = options.found_address or ""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal():
        with _reaching(address):
            socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS).close()


def _connect(ray: Any, address: str) -> None:
    with _reaching(address):
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")


@contextmanager
def _reaching(address: str) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(
            f"{address}: no Ray cluster can be reached there ({_reason(error)}); start one with `ray start --head`, or "
            "leave --address out to use this machine alone"
        ) from error


def _reason(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def _own_cpus(options: RayOptions) -> int:
    """CPUs of an engine, where all of them share this machine."""
    return options.cpus or max(1, (os.cpu_count() or 1) // options.workers)


def _engine_cpus(options: RayOptions, nodes: list[int]) -> int:
    """CPUs of an engine, where the cluster has enough for one and what is beside it."""
    total = sum(nodes)
    cpus = options.cpus or max(1, min(_MOST_CPUS, min(nodes, default=0) - 1, total // options.workers - BESIDE))
    needed = cpus * options.workers + BESIDE
    if options.cpus is None and needed > total:
        raise InputError(
            f"the cluster has {total} CPUs, but this takes {needed}: {options.workers} of an engine each, and {BESIDE} "
            "beside them; add nodes, or give --ray-cpus, if an autoscaler adds them"
        )
    if needed > total:
        logger.warning("the cluster has %d CPUs, and this takes %d: it waits for nodes to be added", total, needed)
    return cpus
