"""The speed benchmark's results as tables of text."""

from __future__ import annotations

import statistics

from blipvino.machine.cpu_classes import TITLES
from blipvino.machine.record import machine_rows
from blipvino.measure.race.contenders import FP16, INT8, PREFIX
from blipvino.measure.race.floor import floors
from blipvino.measure.race.speed_results import Series, SpeedResults
from blipvino.text.tables import TextTable
from blipvino.text.units import MEGABYTE

LATENCIES = {
    "caption": "caption",
    "first token": "first token of a caption",
    "first answer": "answer, first question",
    "further answer": "answer, further question",
}
"""Works whose latency at batch 1 is listed, and what to call them."""


ARITHMETICS = {
    "int8": "8-bit arithmetic",
    "int7": "8-bit arithmetic with 7-bit activations",
    "float": "float arithmetic",
    "simulated": "simulated arithmetic",
    "simulated-int7": "simulated arithmetic with 7-bit activations",
}
"""What our quantized graphs computed in."""


def speed_heading(results: SpeedResults) -> str:
    """A heading in Markdown that names the class of the machine and the machine, and a line on it and the run."""
    machine = results.machine
    title = "Class not recorded" if machine.machine_class is None else TITLES[machine.machine_class]
    forced = f", forced by `{machine.limit}`" if machine.limit else ""
    told = machine.arithmetic or "arithmetic not recorded"
    return (
        f"## {title}: {machine.cpu}, {machine.cores} cores{forced}\n\n"
        f"Measured {results.started[:10]}. Quantized graphs of blipvino: {told}.\n"
    )


def speed_tables(results: SpeedResults) -> tuple[TextTable, ...]:
    """Everything there is to tell, most telling first."""
    tables = (
        *latency_tables(results),
        throughput_table(results),
        parts_table(results),
        floor_table(results),
        growth_table(results),
        launch_table(results),
        size_table(results),
        install_table(results),
        entrants_table(results),
        machine_table(results),
    )
    return tuple(table for table in tables if table.rows)


def latency_tables(results: SpeedResults) -> tuple[TextTable, ...]:
    """For each work, milliseconds at batch 1: median, quartiles, rounds, and how many times faster ours is."""
    return tuple(_latency_table(results, work, label) for work, label in LATENCIES.items())


def _latency_table(results: SpeedResults, work: str, label: str) -> TextTable:
    found = [series for name in results.measured if (series := results.find(work, name)) is not None]
    ours = results.find(work, INT8)
    rows = [
        (
            _contender(results, one.contender),
            *_statistics(one),
            "" if ours is None else f"{one.median / ours.median:.2f}",
        )
        for one in found
    ]
    tokens = f", {found[0].new_tokens} tokens" if found and found[0].new_tokens > 1 else ""
    columns = ("ms", "median", "quartiles", "min", "n", "same", "× INT8")
    return TextTable(f"Latency: {label}{tokens}, batch 1", columns, tuple(rows))


def _contender(results: SpeedResults, name: str) -> str:
    """What to call a contender; one of ours that is quantized, with the arithmetic that ran."""
    arithmetic = ARITHMETICS.get(results.machine.quantized)
    quantized = name.startswith(PREFIX) and name != FP16
    return results.label(name) + (f", {arithmetic}" if quantized and arithmetic else "")


def _statistics(series: Series) -> tuple[str, ...]:
    low, high = series.quartiles
    same = "" if series.agreement is None else f"{series.agreement:.0%}"
    return (_ms(series.median), f"{_ms(low)} – {_ms(high)}", _ms(min(series.seconds)), str(len(series.seconds)), same)


def throughput_table(results: SpeedResults) -> TextTable:
    """Captions a second by batch size."""
    sizes = sorted({s.size for s in results.series if s.work == "caption"})
    rows = []
    for name in results.measured:
        found = [results.find("caption", name, size) for size in sizes]
        if any(found):
            rows.append((results.label(name), *("" if s is None else f"{s.size / s.median:.2f}" for s in found)))
    columns = ("contender", *(f"batch {size}" for size in sizes))
    return TextTable("Throughput: captions a second, medians", columns, tuple(rows))


def parts_table(results: SpeedResults) -> TextTable:
    """Milliseconds of each graph on its own."""
    found = {name: results.find("parts", name) for name in results.measured}
    medians = {name: series.part_medians for name, series in found.items() if series is not None}
    order = ("vision", "question_kv", "question", "answer_kv", "step")
    names = [part for part in order if any(part in parts for parts in medians.values())]
    rows = [
        (results.label(name), *(_ms(parts[part]) if part in parts else "" for part in names))
        for name, parts in medians.items()
    ]
    return TextTable("Graphs on their own, batch 1; a step attends to an image", ("ms", *names), tuple(rows))


def floor_table(results: SpeedResults) -> TextTable:
    """Our graphs beside the machine's limit."""
    rows = [
        (one.graph, results.label(one.contender), _ms(one.measured), _ms(one.floor), f"{one.ratio:.2f}", one.limit)
        for one in floors(results)
    ]
    columns = ("graph", "contender", "measured, ms", "floor, ms", "ratio", "the floor is")
    return TextTable("Beside the machine's limit", columns, tuple(rows), numbers=False)


def growth_table(results: SpeedResults) -> TextTable:
    """Milliseconds against the number of images, questions and tokens."""
    rows = []
    for work, unit in (("caption", "images"), ("questions", "questions"), ("tokens", "tokens")):
        for name in results.measured:
            grown = growth(results, work, name)
            if len(grown) > 1:
                cells = ", ".join(f"{size}: {_ms(seconds)}" for size, seconds in grown)
                rows.append((unit, results.label(name), cells))
    return TextTable("Growth: milliseconds by number", ("of", "contender", "number: ms"), tuple(rows), numbers=False)


def growth(results: SpeedResults, work: str, contender: str) -> list[tuple[int, float]]:
    """Sizes and median seconds of a work, sizes ascending."""
    found = [s for s in results.series if (s.work, s.contender) == (work, contender) and s.seconds]
    return sorted((series.size, series.median) for series in found)


def launch_table(results: SpeedResults) -> TextTable:
    """Cold starts and memory."""
    rows = [
        (
            f"first {one.work}",
            results.label(one.contender) + ("" if one.cache == "none" else f", {one.cache} cache"),
            f"{statistics.median(one.seconds):.2f}",
            f"{max(one.peak_rss) / MEGABYTE:,.0f}",
        )
        for one in sorted(results.launches, key=lambda one: one.work, reverse=True)
    ]
    return TextTable("Launch of a process to its first text", ("", "contender", "s", "peak RSS, MB"), tuple(rows))


def size_table(results: SpeedResults) -> TextTable:
    """Models on disk."""
    rows = tuple((size.name, f"{size.bytes / MEGABYTE:,.1f}") for size in results.models)
    return TextTable("Models on disk", ("contender", "MB"), rows)


def install_table(results: SpeedResults) -> TextTable:
    """Installations, with all that they require."""
    rows = tuple((size.name, f"{size.bytes / MEGABYTE:,.0f}") for size in results.installs)
    return TextTable("Installed, with all requirements but Python", ("", "MB"), rows)


def entrants_table(results: SpeedResults) -> TextTable:
    """Who did not take part, and why."""
    rows = tuple((one.label, one.state, one.reason) for one in results.entrants if one.state != "measured")
    return TextTable("Not measured", ("contender", "", "reason"), rows, numbers=False)


def machine_table(results: SpeedResults) -> TextTable:
    """What it was measured on."""
    peaks = [f"{kind} matmul {macs / 1e9:.0f} GMAC/s" for kind, macs in results.peaks.macs.items()]
    limits = ", ".join((f"memory read {results.peaks.bandwidth / 1e9:.1f} GB/s", *peaks))
    measured = (("checkpoint", results.checkpoint), ("measured", results.started), ("peaks", limits))
    return TextTable("Machine", ("", ""), (*machine_rows(results.machine), *measured), numbers=False)


def _ms(seconds: float) -> str:
    milliseconds = seconds * 1e3
    return f"{milliseconds:,.0f}" if milliseconds >= 100 else f"{milliseconds:.1f}"
