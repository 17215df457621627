"""The search for a recipe as text: a table of all that was tried, and what each graph keeps and why."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from blipvino.bundle.search_record import described
from blipvino.recipe import FP16, Treatment
from blipvino.text.tables import TextTable

LONGEST_REASON = 160
"""Characters; NNCF's refusals run over pages. The manifest has all of them."""
JUDGED = {
    "int8": "judged and timed with 8-bit kernels; where a CPU has no VNNI or AMX, activations stay float instead",
    "float": "judged and timed with float activations, as this CPU runs them; elsewhere they are rounded to 8 bits",
    "simulated": "judged with simulated 8-bit kernels, whose times say nothing",
}
Record = Mapping[str, Any]
"""What `blipvino.optimization.search.search.search_recipe` records."""


def search_table(record: Record) -> TextTable:
    """All that was tried, in order, with the points that it lost. The manifest has times and accuracies too."""
    rows = [(str(number), *_row(trial)) for number, trial in enumerate(record["trials"], start=1)]
    title = f"Search by {record['measure']} on {record['samples']} samples of {record['source']}"
    columns = ("", "tried", "drop [95%]", "MB", "decision")
    return TextTable(title, columns, tuple(rows), numbers=False)


def search_summary(record: Record) -> list[str]:
    """How the search ended, and of each graph the treatment, with what would have lost too much."""
    ended = {"finished": "finished", "interrupted": "was interrupted", "out of time": "ran out of time"}
    lines = [f"The search for at most {record['max_drop']:g} points less {ended[record['outcome']]}:"]
    if "arithmetic" in record:
        lines.append(f"  {JUDGED[record['arithmetic']]}")
    best = [trial for trial in record["trials"] if trial["decision"] == "kept"]
    chosen = _treatments(best[-1]) if best else {}
    if chosen and all(treatment == FP16 for treatment in chosen.values()):
        lines.append("  nothing that compresses keeps to the limit, so every graph stays in FP16")
    for graph, treatment in chosen.items():
        lines.append(f"  {graph} has {treatment}" + "".join(f"; {loss}" for loss in _losses(record, graph, treatment)))
    return lines


def _losses(record: Record, graph: str, chosen: Treatment) -> Iterator[str]:
    """The tried treatment of a graph that came closest to the limit from above."""
    over = [
        (trial["score"]["drop"], str(_treatments(trial)[graph]))
        for trial in record["trials"]
        if trial["graph"] == graph and trial["decision"] != "kept" and _over(trial, record)
    ]
    closest = min((one for one in over if one[1] != str(chosen)), default=None)
    if closest is not None:
        yield f"{closest[1]} loses {closest[0]:.2f} points"


def _over(trial: Mapping[str, Any], record: Record) -> bool:
    decisive = {"estimate": "drop", "bound": "high"}[record["decide_by"]]
    return trial["score"] is not None and trial["score"][decisive] > record["max_drop"]


def _row(trial: Mapping[str, Any]) -> tuple[str, ...]:
    score, size = trial["score"], trial["size"]
    what = described(trial["phase"], trial["graph"], _treatments(trial))
    drop = "" if score is None else f"{score['drop']:.2f} [{score['low']:.2f}, {score['high']:.2f}]"
    megabytes = "" if size is None else f"{size / 1e6:.2f}"
    reason = textwrap.shorten(trial["reason"], LONGEST_REASON, placeholder=" …")
    return (what, drop, megabytes, f"{trial['decision']}: {reason}")


def _treatments(trial: Mapping[str, Any]) -> dict[str, Treatment]:
    return {graph: Treatment.from_json(content) for graph, content in trial["treatments"].items()}
