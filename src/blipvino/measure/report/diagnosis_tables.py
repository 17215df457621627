"""A diagnosis as tables of text."""

from __future__ import annotations

import math

from blipvino.graphs.terms import terms_table
from blipvino.measure.diagnosis.diagnosis import Diagnosis
from blipvino.metrics.sqnr import Fidelity
from blipvino.text.tables import TextTable

SAME = 1.0
"""A difference in dB that needs no explanation."""
WHY = {
    "int8": "The 8-bit kernels of this CPU, and what is rounded around them, make errors of their own.",
    "int7": "Activations are rounded to 7 bits here, which 8-bit kernels without VNNI multiply exactly.",
    "float": "Activations are not rounded to 8 bits here, so that what their rounding costs elsewhere is missing.",
    "simulated": "What is not quantized is not computed in float32 here.",
    "simulated-int7": "Activations are rounded to 7 bits, as on CPUs without VNNI.",
}


def diagnosis_tables(diagnosis: Diagnosis, worst: int) -> tuple[TextTable, ...]:
    """Every graph's error, and the layers that make the most."""
    return graph_table(diagnosis), layer_table(diagnosis, worst)


def graph_table(diagnosis: Diagnosis) -> TextTable:
    """The error of every compressed graph's outputs."""
    rows = [
        (
            f"{graph.graph}, {graph.method}",
            *_figures(graph.alone),
            *_figures(graph.chained),
            "" if graph.as_run is None else decibels(graph.as_run),
        )
        for graph in diagnosis.graphs
    ]
    columns = ("graph", "alone, dB", "cosine", "in the chain, dB", "cosine", "as it runs here, dB")
    return TextTable("Outputs beside the original's: SQNR", columns, tuple(rows)).without_empty_columns()


def diagnosis_terms(diagnosis: Diagnosis) -> TextTable:
    """What its graphs are, and what was done to them."""
    return terms_table(*zip(*((graph.graph, graph.method) for graph in diagnosis.graphs), strict=True))


def host_explanation(diagnosis: Diagnosis) -> str | None:
    """Why the graphs run better or worse here than their numbers say; None where they do not."""
    apart = [graph for graph in diagnosis.graphs if abs(graph.gain_here) > SAME]
    if not apart:
        return None
    named = ", ".join(f"{graph.graph} {graph.gain_here:+.1f} dB" for graph in apart)
    told = f"Closeness to the original as it runs here, beside what the numbers say: {named}."
    return f"{told} {WHY[diagnosis.arithmetic]} {diagnosis.reason}."


def layer_table(diagnosis: Diagnosis, count: int) -> TextTable:
    """The layers that introduce the most noise for their signal, worst first."""
    rows = [(layer.label, *_figures(layer.introduced), decibels(layer.accumulated)) for layer in diagnosis.worst(count)]
    columns = ("layer", "introduced, dB", "cosine", "accumulated, dB")
    return TextTable(f"The worst {len(rows)} of {len(diagnosis.worst())} layers: SQNR", columns, tuple(rows))


def summary(diagnosis: Diagnosis) -> str:
    """One sentence: which layer is the worst."""
    (worst,) = diagnosis.worst(1)
    share = f"{worst.noise_to_signal:.2%} of its signal's power"
    return f"Most noise comes from {worst.label}: {decibels(worst.introduced)} dB by itself, {share}"


def decibels(error: Fidelity) -> str:
    """The SQNR; without noise it is infinite."""
    return f"{error.sqnr:.1f}" if math.isfinite(error.sqnr) else "∞" if error.sqnr > 0 else "-∞"


def cosine(error: Fidelity) -> str:
    """The cosine similarity."""
    return f"{error.cosine:.5f}"


def _figures(error: Fidelity) -> tuple[str, str]:
    return decibels(error), cosine(error)
