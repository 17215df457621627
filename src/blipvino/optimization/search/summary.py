"""The search for a recipe as text: a table of all that was tried, and what each graph keeps and why."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from blipvino.bundle.search_record import Score, SearchRecord, Trial, described
from blipvino.recipe import FP16, Treatment
from blipvino.text.tables import TextTable

LONGEST_REASON = 160
"""Characters; NNCF's refusals run over pages. The manifest has all of them."""
JUDGED = {
    "int8": "judged and timed with 8-bit kernels; where a CPU has no VNNI or AMX, activations have 7 bits instead",
    "int7": "judged and timed with activations in 7 bits, as this CPU runs them; with VNNI or AMX they have 8",
    "float": "judged and timed with float activations, as this CPU runs them; elsewhere they are rounded to 8 bits",
    "simulated": "judged with simulated 8-bit kernels, whose times say nothing",
    "simulated-int7": "judged with simulated kernels of 7-bit activations, whose times say nothing",
}


def search_table(record: SearchRecord) -> TextTable:
    """All that was tried, in order, with the points that it lost. The manifest has times and accuracies too."""
    rows = [(str(number), *_row(trial)) for number, trial in enumerate(record.trials, start=1)]
    title = f"Search by {record.measure} on {record.samples} samples of {record.source}"
    columns = ("", "tried", "drop [95%]", "MB", "decision")
    return TextTable(title, columns, tuple(rows), numbers=False)


def search_summary(record: SearchRecord) -> list[str]:
    """How the search ended, and of each graph the treatment, with what would have lost too much."""
    ended = {"finished": "finished", "interrupted": "was interrupted", "out of time": "ran out of time"}
    lines = [f"The search for at most {record.max_drop:g} points less {ended[record.outcome]}:"]
    if record.arithmetic is not None:
        lines.append(f"  {JUDGED[record.arithmetic]}")
    best = [trial for trial in record.trials if trial.decision == "kept"]
    chosen = best[-1].treatments if best else {}
    if chosen and all(treatment == FP16 for treatment in chosen.values()):
        lines.append("  nothing that compresses keeps to the limit, so every graph stays in FP16")
    for graph, treatment in chosen.items():
        lines.append(f"  {graph} has {treatment}" + "".join(f"; {loss}" for loss in _losses(record, graph, treatment)))
    return lines


def _losses(record: SearchRecord, graph: str, chosen: Treatment) -> Iterator[str]:
    """The tried treatment of a graph that came closest to the limit from above."""
    over = [
        (trial.score.drop, str(trial.treatments[graph]))
        for trial in record.trials
        if trial.score and trial.graph == graph and trial.decision != "kept" and _over(trial.score, record)
    ]
    closest = min((one for one in over if one[1] != str(chosen)), default=None)
    if closest is not None:
        yield f"{closest[1]} loses {closest[0]:.2f} points"


def _over(score: Score, record: SearchRecord) -> bool:
    return (score.drop if record.decide_by == "estimate" else score.high) > record.max_drop


def _row(trial: Trial) -> tuple[str, ...]:
    score, size = trial.score, trial.size
    what = described(trial.phase, trial.graph, trial.treatments)
    drop = "" if score is None else f"{score.drop:.2f} [{score.low:.2f}, {score.high:.2f}]"
    megabytes = "" if size is None else f"{size / 1e6:.2f}"
    reason = textwrap.shorten(trial.reason, LONGEST_REASON, placeholder=" …")
    return (what, drop, megabytes, f"{trial.decision}: {reason}")
