"""The training log as a table and a picture: ``python -m training.curve LOG PICTURE.png`` (``train`` extra)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # no display is needed
from matplotlib import pyplot

from blipvino.errors import DataError
from training.command_line import make_parser, run_command

Entry = dict[str, Any]


def read_log(path: Path) -> list[Entry]:
    """The entries of ``log.jsonl``; of a step that a resumed run repeated, the last.

    Raises:
        DataError: it is something else, or no validation is in it.
    """
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        entries = {entry["step"]: entry for entry in lines}
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not the log of a training ({error}); give its log.jsonl") from error
    if not any("validation" in entry for entry in lines):
        raise DataError(f"{path}: nothing was validated yet, so there is no accuracy to draw; train on")
    return [entries[step] for step in sorted(entries)]


def markdown_table(entries: list[Entry]) -> str:
    """Losses and validation accuracy, wherever it was measured."""
    measured = [entry for entry in entries if "validation" in entry]
    losses, kinds = loss_names(entries), summaries(entries)
    kinds += sorted({kind for entry in measured for kind in entry["validation"]} - set(kinds))
    titles = ["step", *(name.replace("_", " ") for name in losses), *kinds]
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    for entry in measured:
        numbers = [f"{entry[name]:.3f}" for name in losses]
        shares = [f"{entry['validation'][kind]:.1%}" for kind in kinds]
        lines.append("| " + " | ".join([str(entry["step"]), *numbers, *shares]) + " |")
    return "\n".join(lines)


def loss_names(entries: list[Entry]) -> list[str]:
    """The losses that a training has."""
    return [name for name in entries[0] if name.endswith("_loss")]


def summaries(entries: list[Entry]) -> list[str]:
    """What is measured of all its questions, captions or pictures; the rest is by type."""
    measured: dict[str, float] = next(entry["validation"] for entry in entries if "validation" in entry)
    return [name for name in ("all", "caption", "caption from the top", "R@1", "matching") if name in measured]


def share_limits(lowest: float) -> tuple[float, float]:
    """Ends of an axis of shares: all of it, or its upper end where nothing lies below."""
    begin = 0.95 if lowest >= 0.95 else 0.0
    return begin, 1 + 0.02 * (1 - begin)


def draw(entries: list[Entry], path: Path) -> None:
    """Losses above, validation accuracy below."""
    figure, (losses, accuracies) = pyplot.subplots(2, 1, figsize=(7, 6), sharex=True, layout="constrained")
    steps = [entry["step"] for entry in entries]
    for name in loss_names(entries):
        losses.plot(steps, [entry[name] for entry in entries], label=name.replace("_", " "))
    losses.set(ylabel="cross-entropy, nats", yscale="log")
    measured = [entry for entry in entries if "validation" in entry]
    shares = {name: [entry["validation"][name] for entry in measured] for name in summaries(entries)}
    for name, values in shares.items():
        accuracies.plot([entry["step"] for entry in measured], values, marker="o", label=name)
    accuracies.set(xlabel="step", ylabel="validation accuracy", ylim=share_limits(min(map(min, shares.values()))))
    for axes in (losses, accuracies):
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=110)


def main() -> None:
    """Parse the command line, print the table, draw the picture."""
    parser = make_parser(__doc__)
    parser.add_argument("log", type=Path, help="log.jsonl of a training")
    parser.add_argument("picture", type=Path, help="the PNG to write")
    options = parser.parse_args()
    entries = read_log(options.log)
    print(markdown_table(entries))
    draw(entries, options.picture)


if __name__ == "__main__":
    run_command(main)
