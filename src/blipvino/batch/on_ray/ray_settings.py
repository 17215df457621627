"""How Ray Data runs a job of ours, and how an engine is compiled on a node."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from ray.data import DataContext

from blipvino.batch.on_ray.ray_session import RayCluster
from blipvino.errors import OutputError
from blipvino.files.atomic import make_folder
from blipvino.runtime.compiling.engine_options import EngineOptions

BLOCK_BYTES = 16 * 2**20
"""Of what travels between nodes at once, some 36 images of 384 pixels a side: an engine that dies had some of these in
hand. Ray Data's own, 128 MB, would be minutes of work."""
READ_BYTES = 256 * 2**20
"""Of memory that a task which decodes images reserves: some images of 24 megapixels. Since an engine reserves none, Ray
Data runs the two in processes of their own, also where both have one CPU."""
_INIT_DEATHS = 3
"""Engines in a row that may die while they load their bundle: a node may go at any time."""


@contextmanager
def data_settings(checkpoint: Any | None = None) -> Iterator[None]:
    """Settings of Ray Data for datasets that are made and run in the block; afterwards they are as they were.

    Args:
        checkpoint: a `CheckpointConfig`.
    """
    context, log = DataContext.get_current(), logging.getLogger("ray.data")
    chosen = {
        "target_max_block_size": BLOCK_BYTES,
        "enable_progress_bars": False,
        "enable_operator_progress_bars": False,
        "print_on_execution_start": False,
        "max_consecutive_actor_init_deaths": _INIT_DEATHS,
        "checkpoint_config": checkpoint,
    }
    before, level = {name: getattr(context, name) for name in chosen}, log.level
    try:
        log.setLevel(logging.ERROR)
        for name, value in chosen.items():
            setattr(context, name, value)
        yield
    finally:
        log.setLevel(level)
        for name, value in before.items():
            setattr(context, name, value)


def engine_on(cluster: RayCluster, engine: EngineOptions) -> EngineOptions:
    """How graphs are compiled on a node: as many threads as are reserved, free to move where other engines run too."""
    pinning = False if cluster.shares_nodes else engine.pinning
    return replace(engine, threads=cluster.engine_cpus, pinning=pinning)


def on_this_node(engine: EngineOptions) -> EngineOptions:
    """The same without a cache of compiled graphs, where this node cannot have one at that place."""
    if engine.cache is None:
        return engine
    try:
        make_folder(engine.cache)
    except OutputError:
        return replace(engine, cache=None)
    return engine
