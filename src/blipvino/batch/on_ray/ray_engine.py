"""What runs on the nodes of a cluster: tasks that read images, and actors that hold the compiled bundle."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import ray

from blipvino.batch.on_ray.ray_bundles import SentBundle
from blipvino.batch.on_ray.ray_rows import listed_rows, read_rows, read_table
from blipvino.batch.on_ray.ray_settings import on_this_node
from blipvino.batch.on_ray.ray_stretches import stand_at
from blipvino.batch.row_sidecars import RowSidecars
from blipvino.batch.row_worker import RowWorker
from blipvino.batch.stages.row_reader import RowReader
from blipvino.batch.work_plan import PlannedModel, WorkPlan
from blipvino.runtime.inputs.images import ImageProcessor
from blipvino.runtime.reading import find_bundle, read_config, read_preprocessor

READ_TOGETHER = 32
"""Rows that a task reads at once."""


@dataclass(frozen=True)
class ImageReading:
    """What reads, decodes and resizes the images of rows. It needs no engine, and can be pickled.

    Attributes:
        base: folder that relative paths are below.
        texts: for the model of texts; None where there is none.
        embeddings: for the model of embeddings, likewise.
    """

    base: Path
    texts: ImageProcessor | None
    embeddings: ImageProcessor | None

    @classmethod
    def of(cls, plan: WorkPlan) -> ImageReading:
        """That of a plan.

        Raises:
            BundleError: a bundle of it is not there, or damaged.
        """
        return cls(Path.cwd(), _processor(plan.texts), _processor(plan.embeddings))


def read_images(table: pa.Table, reading: ImageReading) -> pa.Table:
    """Rows with pixels, of rows that were listed; what cannot be read is a row with an error."""
    stand_at(reading.base)
    with closing(RowReader(listed_rows(table), reading.texts, reading.embeddings, READ_TOGETHER)) as reader:
        return read_table(reader)


class RowEngine:
    """Holds the compiled bundle, in a process of its own; called from two threads, so that it never waits for rows.

    Args:
        plan: what is made of rows.
        sent: the plan's bundles, by the name of their field in it.
        base: folder that relative paths are below.
        sidecars: keeps texts beside photos, too.
    """

    def __init__(
        self, plan: WorkPlan, sent: Mapping[str, SentBundle], base: Path, sidecars: RowSidecars | None
    ) -> None:
        stand_at(base)
        self._worker = RowWorker(placed(plan, sent))
        self._sidecars = sidecars

    def __call__(self, table: pa.Table) -> pa.Table:
        """Rows as they are written, of rows that were read."""
        with closing(self._worker.work(read_rows(table))) as rows:
            kept = rows if self._sidecars is None else map(self._sidecars.kept, rows)
            return self._worker.columns.arrow_table(kept)


def sent_bundles(plan: WorkPlan, put: Any | None) -> dict[str, SentBundle]:
    """A plan's bundles, made known to the nodes; ``put`` as `SentBundle.of` takes it."""
    planned = {"texts": plan.texts, "embeddings": plan.embeddings}
    return {name: SentBundle.of(find_bundle(each.folder), put) for name, each in planned.items() if each is not None}


def placed(plan: WorkPlan, sent: Mapping[str, SentBundle]) -> WorkPlan:
    """The plan with the folders that its bundles and its cache have on this node."""
    found: dict[str, Any] = {
        name: replace(planned, folder=sent[name].find(ray.get))
        for name, planned in (("texts", plan.texts), ("embeddings", plan.embeddings))
        if planned is not None
    }
    return replace(plan, **found, engine=on_this_node(plan.engine))


def _processor(planned: PlannedModel | None) -> ImageProcessor | None:
    if planned is None:
        return None
    bundle = find_bundle(planned.folder)
    return ImageProcessor(read_preprocessor(bundle, read_config(bundle)))
