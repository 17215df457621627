"""A self-test as a table and sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator

from blipvino.runtime.compiling.bundled import SelfTestReport
from blipvino.text.tables import TextTable


def selftest_table(report: SelfTestReport) -> TextTable:
    """Every graph's error as it runs here, beside what `optimize` expected and what is required."""
    rows = [
        (
            verdict.case.replace(".", " of the "),
            *(_decibels(value) for value in (verdict.sqnr, verdict.expected, verdict.required)),
            f"{verdict.disagreement:.2f}" if verdict.graph == "answer" else "",
            "passed" if verdict.passed else "falls short",
        )
        for verdict in report.verdicts
    ]
    columns = ("graph", "here, dB", "expected", "required", "token, nats", "")
    return TextTable("Golden samples beside the float model: SQNR, and the worst token", columns, tuple(rows))


def selftest_summary(report: SelfTestReport) -> Iterator[str]:
    """The arithmetic, and what falls short."""
    yield f"{report.choice.reason}."
    for verdict in report.verdicts:
        if not verdict.passed:
            yield f"{verdict.case} falls short: {verdict.shortfall}."
    if report.passed:
        yield "This CPU computes what was expected of every graph; how good the recipe is, `blipvino evaluate` tells."
    elif report.choice.arithmetic != "float":
        yield "Captions and answers compute a graph that falls short in float instead."


def _decibels(value: float) -> str:
    return f"{value:.1f}" if math.isfinite(value) else "∞" if value > 0 else "no number"
