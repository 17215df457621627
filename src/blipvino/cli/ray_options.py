"""Options of the verbs that can do their work on a Ray cluster."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from blipvino.cli.unused_options import refuse_unused

if TYPE_CHECKING:
    from blipvino.batch.on_ray.ray_session import RayOptions


class JobEngine(StrEnum):
    """What does a job's work."""

    local = "local"
    ray = "ray"


EngineOption = Annotated[
    JobEngine, typer.Option("--engine", help="local is this process; ray is a Ray cluster, with the extra `ray`.")
]
AddressOption = Annotated[
    str | None,
    typer.Option(
        help="Of --engine ray: the cluster, HOST:PORT or auto; by default $RAY_ADDRESS, else one of this machine alone."
    ),
]
RayCpusOption = Annotated[
    int | None,
    typer.Option(
        help="Of --engine ray: CPUs that each engine reserves and computes with; by default all but one of the "
        "smallest node, 8 at the most, and of this machine alone all."
    ),
]
RayWorkersOption = Annotated[int, typer.Option(min=1, help="Of --engine ray: engines at the least.")]
RayMaxWorkersOption = Annotated[
    int | None,
    typer.Option(help="Of --engine ray: engines at the most; by default as many as there are CPUs for."),
]


def ray_options(
    context: typer.Context,
    engine: JobEngine,
    address: str | None,
    cpus: int | None,
    workers: int,
    max_workers: int | None,
) -> RayOptions | None:
    """How a job uses Ray, which is there; None where it does not, and then its options are refused.

    Raises:
        InputError: an option is not allowed, or Ray is missing.
    """
    if engine != JobEngine.ray:
        refuse_unused(context, ("address", "ray_cpus", "ray_workers", "ray_max_workers"), "without --engine ray")
        return None
    from blipvino.batch.on_ray.ray_session import RayOptions, check_installed

    options = RayOptions(address, cpus, workers, max_workers)
    check_installed()
    return options
