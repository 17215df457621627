"""A comparison as tables of text, for the terminal and the HTML report alike."""

from __future__ import annotations

from blipvino.measure.comparison import Comparison
from blipvino.measure.cost import Cost
from blipvino.metrics.bootstrap import Estimate
from blipvino.text.tables import TextTable

KILOBYTE = 1024
"""The tutorial's KB."""


def comparison_tables(comparison: Comparison) -> tuple[TextTable, ...]:
    """Sizes, latencies and agreement."""
    return size_table(comparison.cost), latency_table(comparison.cost), agreement_table(comparison)


def size_table(cost: Cost) -> TextTable:
    """Weights of the tutorial's three models, and of all."""
    before, after = cost.names
    rows = [
        (size.name, f"{size.original / KILOBYTE:,.2f}", f"{size.compressed / KILOBYTE:,.2f}", f"{size.rate:.3f}")
        for size in (*cost.sizes, cost.total)
    ]
    return TextTable("Size", ("model", f"{before}, KB", f"{after}, KB", "compression rate"), tuple(rows))


def latency_table(cost: Cost) -> TextTable:
    """Median latencies."""
    before, after = cost.names
    rows = [
        (row.task, str(row.samples), f"{row.original * 1e3:.1f}", f"{row.compressed * 1e3:.1f}", f"{row.speed_up:.2f}")
        for row in cost.latencies
    ]
    columns = ("task", "samples", f"{before}, ms", f"{after}, ms", "speed-up")
    return TextTable("Latency: medians, the two taking turns", columns, tuple(rows))


def agreement_table(comparison: Comparison) -> TextTable:
    """How often both give the same text, with the accuracy of each where the data has the truth."""
    before, after = comparison.cost.names
    rows = [
        (
            score.name,
            str(score.questions),
            _share(score.agreement),
            _accuracy(score.original),
            _accuracy(score.compressed),
        )
        for score in comparison.answers
    ]
    rows.append(("captions", str(comparison.captioned), _share(comparison.caption_agreement), "", ""))
    kind, title = ("question type", "Answers") if comparison.answers else ("", "Captions")
    columns = (kind, "count", "agreement [95%]", f"accuracy {before}", f"accuracy {after}")
    return TextTable(title, columns, tuple(rows)).without_empty_columns()


def _share(share: Estimate | None) -> str:
    assert share is not None  # there is an original
    return f"{share.value:.2%} [{100 * share.low:.1f}, {100 * share.high:.1f}]"


def _accuracy(accuracy: Estimate | None) -> str:
    return "" if accuracy is None else f"{accuracy.value:.2%}"
