"""The report's sections, each left out where there is nothing to tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from blipvino.graphs.terms import terms_of, terms_table
from blipvino.machine.record import machine_rows
from blipvino.measure.cost import Cost
from blipvino.measure.recall.retrieval_evaluation import RetrievalEvaluation
from blipvino.measure.report.charts.charts import BarPair, paired_bars
from blipvino.measure.report.comparison_tables import latency_table, size_table
from blipvino.measure.report.page.accuracy import accuracy
from blipvino.measure.report.page.confidence_section import confidence
from blipvino.measure.report.page.gallery import samples
from blipvino.measure.report.page.layer_errors import layers
from blipvino.measure.report.page.measuring_commands import evaluate_command, report_command
from blipvino.measure.report.page.parts import Section, command, figure, legend, note, table
from blipvino.measure.report.report import Report
from blipvino.optimization.commands import optimize_command, remarks
from blipvino.optimization.search.summary import search_summary, search_table
from blipvino.text.markup import element, join
from blipvino.text.tables import TextTable
from blipvino.text.units import megabytes, milliseconds


def sections(report: Report) -> list[Section]:
    """All sections that there are, in their order."""
    made: tuple[Callable[[Report], Section | None], ...] = (
        samples,
        accuracy,
        confidence,
        sizes,
        latency,
        search,
        reproduce,
        environment,
        layers,
    )
    return [section for one in made if (section := one(report)) is not None]


def sizes(report: Report) -> Section:
    """Bytes of weights, by graph."""
    cost = report.cost
    pairs = [
        BarPair(
            size.name,
            f"{size.rate:.2f}× smaller",
            (size.original, size.compressed),
            (megabytes(size.original), megabytes(size.compressed)),
        )
        for size in cost.graph_sizes
    ]
    chart = paired_bars("Weights of each graph", cost.names, pairs)
    told = "Weights of each graph, in millions of bytes."
    treatments = report.bundle.manifest.recipe.treatments
    terms = terms_of({size.name: treatments[size.name] for size in cost.graph_sizes if size.name in treatments})
    body = [legend(cost.names), figure(chart, told), table(terms), table(size_table(cost)), note(_about_sizes(cost))]
    return Section("sizes", "Size", join(body))


def _about_sizes(cost: Cost) -> str:
    groups = [f"{size.name} is {' and '.join(size.graphs)}" for size in cost.sizes if size.graphs != (size.name,)]
    cut = f" The models are cut as in OpenVINO's BLIP tutorial: {', '.join(groups)}." if groups else ""
    return f"In the table a KB is 1,024 bytes.{cut}"


def latency(report: Report) -> Section | None:
    """Seconds of whole calls."""
    cost = report.cost
    if not cost.latencies:
        return None
    pairs = [
        BarPair(
            row.task,
            f"{row.speed_up:.2f}× as fast",
            (row.original, row.compressed),
            (milliseconds(row.original), milliseconds(row.compressed)),
        )
        for row in cost.latencies
    ]
    chart = paired_bars("Median latency of each task", cost.names, pairs)
    told = "Median time of a whole call, from the decoded image to the text; one image at a time."
    if isinstance(report.evaluation, RetrievalEvaluation):
        told = (
            "Median time of a whole call: a decoded image or a text to its embedding, and the match of one text with "
            "an image that was seen before."
        )
    method = (
        f"Timed on {cost.machine.cpu}, {cost.machine.cores} cores. The two models take turns on every sample, and at "
        "going first, so that whatever else the machine does meets both. Both compute in the precision that is the "
        f"default here. {cost.machine.arithmetic}. On another machine the figures are others."
    )
    body = [legend(cost.names), figure(chart, told), table(latency_table(cost)), note(method)]
    return Section("latency", "Latency", join(body))


def search(report: Report) -> Section | None:
    """How the recipe was found, where it was searched for."""
    record = report.bundle.manifest.measurements.search
    if record is None:
        return None
    ending, *graphs = search_summary(record)
    tried = [str(treatment) for trial in record.trials for treatment in trial.treatments.values()]
    known = terms_of(report.bundle.manifest.recipe.treatments).rows  # which the section on sizes has explained
    terms = terms_table((), tried)
    terms = replace(terms, rows=tuple(row for row in terms.rows if row not in known))
    listed = element("ul", *(element("li", line.strip()) for line in graphs))
    told = note("A drop is in points, with its 95% interval. The manifest has accuracies and times of every trial.")
    return Section(
        "search",
        "Search for the recipe",
        join([element("p", ending), listed, table(search_table(record)), table(terms) if terms.rows else None, told]),
    )


def environment(report: Report) -> Section:
    """Machine, libraries and digests."""
    manifest, evaluation = report.bundle.manifest, report.evaluation
    parts = [
        table(TextTable("Measured on", ("", ""), (("date", report.made), *machine_rows(report.cost.machine)), False))
    ]
    if evaluation.machine != report.cost.machine:
        rows = (("date", evaluation.started), *machine_rows(evaluation.machine))
        parts.append(table(TextTable("Accuracy was measured on", ("", ""), rows, False)))
    graphs = ((size.name, report.bundle.graph_digest(size.name)) for size in report.cost.graph_sizes)
    made = (
        ("checkpoint", manifest.source.name if manifest.source.revision is None else _at_revision(report)),
        ("its SHA-256", manifest.source.sha256),
        ("bundle", str(report.bundle.folder)),
        ("its fingerprint", report.bundle.fingerprint),
        ("made", f"{manifest.created} by blipvino {manifest.blipvino_version}"),
        ("made with", ", ".join(f"{name} {version}" for name, version in manifest.libraries.items())),
        *((f"SHA-256 of {name}", digest) for name, digest in graphs),
    )
    parts.append(table(TextTable("Measured bundle", ("", ""), made, False)))
    return Section("environment", "Environment", join(parts))


def _at_revision(report: Report) -> str:
    source = report.bundle.manifest.source
    return f"{source.name} at {source.revision}"


def reproduce(report: Report) -> Section:
    """The commands that make the bundle and this report."""
    manifest, folder = report.bundle.manifest, report.bundle.folder
    steps = [
        ("Make the bundle:", optimize_command(manifest, folder)),
        ("Make this report:", report_command(report)),
        ("Measure accuracy alone, with other options or more questions:", evaluate_command(report)),
    ]
    body = [join([element("p", told), command(line)]) for told, line in steps]
    notes = [note(remark) for remark in remarks(manifest)]
    return Section("reproduce", "How to reproduce", join([*body, *notes]))
