"""The samples that a report's models run on against the clock."""

from __future__ import annotations

from blipvino.data import Sample, count_items, open_source, take
from blipvino.data.shortfalls import shortfall
from blipvino.measure.report.report import ReportOptions
from blipvino.progress import Reporter


def timed_samples(data: str, options: ReportOptions, reporter: Reporter) -> list[Sample]:
    """One question of each of as many images as are to be timed; nothing where nothing is.

    Raises:
        DataError: the data cannot be read, or there is nothing in it.
    """
    asked = options.latency_samples
    if not asked:
        return []
    source = open_source(data)
    timed = take(source, asked, options.seed, spread=True)
    reporter.remark(shortfall(source.name, ("samples to time", count_items(timed), asked)))
    return timed
