"""The report's section on the error of each graph and layer."""

from __future__ import annotations

import math

from blipvino.diagnose.results import Diagnosis
from blipvino.metrics.sqnr import Fidelity
from blipvino.report.markup import element, join
from blipvino.report.parts import Section, note, table
from blipvino.report.results import Report
from blipvino.report.tables import TextTable

WORST = 8


def layers(report: Report) -> Section | None:
    """Which graphs and layers the error comes from."""
    diagnosis = report.diagnosis
    if diagnosis is None or not any(graph.layers for graph in diagnosis.graphs):
        return None
    worst = diagnosis.worst(1)[0]
    told = f"Measured on {diagnosis.data}. The layer that adds most noise for its signal is {worst.label}."
    explained = (
        "SQNR is the signal's power over that of the error, in decibels: 10 dB more is a tenth of the error, and a bit "
        "less costs 6 dB. A layer's own error is what it makes of the original's values; the accumulated one has what "
        "comes to it from the layers before."
    )
    body = [element("p", told), table(graph_table(diagnosis)), table(worst_table(diagnosis)), note(explained)]
    return Section("layers", "Error by layer", join(body))


def graph_table(diagnosis: Diagnosis) -> TextTable:
    """The error of each graph's outputs."""
    rows = [(graph.graph, graph.method, _sqnr(graph.alone), _sqnr(graph.chained)) for graph in diagnosis.graphs]
    columns = ("graph", "method", "compressed alone", "with all before it")
    return TextTable("SQNR of each graph's outputs, dB", columns, tuple(rows))


def worst_table(diagnosis: Diagnosis) -> TextTable:
    """The layers that add most noise."""
    rows = [(layer.label, _sqnr(layer.introduced), _sqnr(layer.accumulated)) for layer in diagnosis.worst(WORST)]
    return TextTable("The worst layers, SQNR in dB", ("layer", "its own error", "accumulated"), tuple(rows))


def _sqnr(error: Fidelity) -> str:
    return f"{error.sqnr:.1f}" if math.isfinite(error.sqnr) else "exact" if error.noise == 0 else "no signal"
