"""The report's section on the error of each graph and layer."""

from __future__ import annotations

from blipvino.graphs.terms import SQNR
from blipvino.measure.report.charts.layer_chart import layer_chart
from blipvino.measure.report.diagnosis_tables import graph_table, host_explanation, layer_table, summary
from blipvino.measure.report.page.parts import Section, figure, note, table
from blipvino.measure.report.report import Report
from blipvino.text.markup import Markup, element, join

WORST = 8


def layers(report: Report) -> Section | None:
    """Which graphs and layers the error comes from."""
    diagnosis = report.diagnosis
    if diagnosis is None or not any(graph.layers for graph in diagnosis.graphs):
        return None
    measured = f"For who looks for the cause of a loss. Measured on {diagnosis.data}. {SQNR}"
    told = " ".join(filter(None, (measured, f"{summary(diagnosis)}.", host_explanation(diagnosis))))
    shown = "Every layer's error, graph by graph, in the order of the layers."
    explained = (
        "Alone, a graph reads what the original's graphs before it make; in the chain, what the "
        "compressed ones make. Both are computed as the numbers say; the last column is the chain by the kernels that "
        "run on this machine. What a layer introduces is its error on the original's values; the accumulated one has "
        "what comes to it from the layers before. A cosine of 1 is the same direction."
    )
    chart = figure(Markup(layer_chart(diagnosis)), shown)
    body = [element("p", told), table(graph_table(diagnosis)), table(layer_table(diagnosis, WORST)), note(explained)]
    return Section("layers", "Error by layer", join([*body, chart]))
