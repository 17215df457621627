"""A comparison as tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table

from blipvino.bench.compare import Agreement, Comparison

KILOBYTE = 1024
"""The tutorial's KB."""


def comparison_tables(comparison: Comparison) -> Iterator[Table]:
    """Sizes, latencies and agreement, one table each."""
    yield size_table(comparison)
    yield latency_table(comparison)
    yield agreement_table(comparison)


def size_table(comparison: Comparison) -> Table:
    """Weights of the tutorial's three models, and of all."""
    table = _table("Size", "model", "graphs", "FP16, KB", f"{comparison.recipe}, KB", "compression rate")
    for size in comparison.sizes:
        numbers = (f"{size.original / KILOBYTE:,.2f}", f"{size.compressed / KILOBYTE:,.2f}", f"{size.rate:.3f}")
        table.add_row(size.name, ", ".join(size.graphs), *numbers)
    before = sum(size.original for size in comparison.sizes)
    after = sum(size.compressed for size in comparison.sizes)
    table.add_section()
    table.add_row("all", "", f"{before / KILOBYTE:,.2f}", f"{after / KILOBYTE:,.2f}", f"{before / after:.3f}")
    return table


def latency_table(comparison: Comparison) -> Table:
    """Median latencies."""
    table = _table(
        "Latency (median, taking turns)", "task", "samples", "FP16, ms", f"{comparison.recipe}, ms", "speed-up"
    )
    for latency in comparison.latencies:
        numbers = (f"{latency.original * 1e3:.1f}", f"{latency.compressed * 1e3:.1f}", f"{latency.speed_up:.2f}")
        table.add_row(latency.task, str(latency.samples), *numbers)
    return table


def agreement_table(comparison: Comparison) -> Table:
    """Agreement of the answers, with the accuracy of each where the data has the truth."""
    table = _table("Answers", "question type", "count", "agreement", "accuracy FP16", f"accuracy {comparison.recipe}")
    for row in comparison.answers:
        table.add_row(row.kind, str(row.count), f"{row.share:.2%}", *_accuracies(row))
        if row.kind == "all":
            table.add_section()
    table.add_section()
    captions = comparison.captions
    table.add_row("captions", str(captions.count), f"{captions.share:.2%}", "", "")
    return table


def _accuracies(row: Agreement) -> tuple[str, str]:
    if row.original is None or row.compressed is None:
        return "", ""
    return f"{row.original:.2%}", f"{row.compressed:.2%}"


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for number, column in enumerate(columns):
        is_text = number == 0 or column == "graphs"
        table.add_column(column, justify="left" if is_text else "right", no_wrap=not is_text)
    return table
