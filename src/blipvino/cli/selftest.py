"""``blipvino selftest``."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict

import typer

from blipvino.bundle.bundle import open_bundle
from blipvino.cli.given_bundle import bundle_folder
from blipvino.cli.options import (
    Arithmetic,
    ArithmeticOption,
    BundleArgument,
    DeviceOption,
    JsonFlag,
    Precision,
    PrecisionOption,
    engine_options,
)
from blipvino.cli.output import print_json, print_sentence, print_tables
from blipvino.graphs.specs import GRAPHS
from blipvino.graphs.terms import SQNR, terms_table
from blipvino.machine.devices import CPU
from blipvino.runtime.compiling.bundled import SelfTestReport, run_selftest
from blipvino.text.tables import TextTable

app = typer.Typer()


@app.command(epilog="Example: blipvino selftest blip-vqa")
def selftest(
    bundle: BundleArgument,
    precision: PrecisionOption = Precision.auto,
    arithmetic: ArithmeticOption = Arithmetic.auto,
    device: DeviceOption = CPU,
    as_json: JsonFlag = False,
) -> None:
    """Run every graph on the bundle's golden samples, by the kernels that this machine really uses.

    Exit status 1 tells that a graph falls short of what `blipvino optimize` expected of it.
    """
    bundle = bundle_folder(bundle, quiet=as_json)
    found = run_selftest(open_bundle(bundle), engine_options(precision, arithmetic, device=device))
    if as_json:
        verdicts = [verdict.to_json() for verdict in found.verdicts]
        print_json({"bundle": str(bundle), **asdict(found.choice), "passed": found.passed, "graphs": verdicts})
    else:
        print_tables([_selftest_table(found), terms_table(dict.fromkeys(each.graph for each in found.verdicts))])
        print_sentence(SQNR)
        for line in _selftest_summary(found):
            typer.echo(line)
    if not found.passed:
        raise typer.Exit(1)


def _selftest_table(report: SelfTestReport) -> TextTable:
    """Every graph's error as it runs here, beside what `optimize` expected and what is required."""
    rows = [
        (
            verdict.case.replace(".", " of the "),
            *(_decibels(value) for value in (verdict.sqnr, verdict.expected, verdict.required)),
            f"{verdict.disagreement:.2f}" if GRAPHS[verdict.graph].makes_texts else "",
            "passed" if verdict.passed else "falls short",
        )
        for verdict in report.verdicts
    ]
    columns = ("graph", "here, dB", "expected", "required", "token, nats", "")
    return TextTable("Golden samples beside the float model: SQNR, and the worst token", columns, tuple(rows))


def _selftest_summary(report: SelfTestReport) -> Iterator[str]:
    """The arithmetic, and what falls short."""
    yield f"{report.choice.reason}."
    for verdict in report.verdicts:
        if not verdict.passed:
            yield f"{verdict.case} falls short: {verdict.shortfall}."
    if report.passed:
        yield "Every graph computes what was expected of it here; how good the recipe is, `blipvino evaluate` tells."
    elif report.choice.arithmetic != "float":
        yield "Captions and answers compute a graph that falls short in float instead."


def _decibels(value: float) -> str:
    return f"{value:.1f}" if math.isfinite(value) else "∞" if value > 0 else "no number"
