"""The training log as a table and a picture: ``python -m training.curve LOG PICTURE.png`` (``train`` extra)."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # no display is needed
from matplotlib import pyplot

Entry = dict[str, Any]


def read_log(path: Path) -> list[Entry]:
    """The entries of ``log.jsonl``; of a step that a resumed run repeated, the last."""
    entries = {entry["step"]: entry for entry in map(json.loads, path.read_text(encoding="utf-8").splitlines())}
    return [entries[step] for step in sorted(entries)]


def markdown_table(entries: list[Entry]) -> str:
    """Losses and validation accuracy, wherever it was measured."""
    measured = [entry for entry in entries if "validation" in entry]
    kinds = ["all", "caption", *sorted({kind for e in measured for kind in e["validation"]} - {"all", "caption"})]
    lines = ["| step | answer loss | caption loss | " + " | ".join(kinds) + " |", "|" + "---|" * (3 + len(kinds))]
    for entry in measured:
        shares = (entry["validation"].get(kind) for kind in kinds)
        accuracies = " | ".join("" if share is None else f"{share:.1%}" for share in shares)
        lines.append(f"| {entry['step']} | {entry['answer_loss']:.3f} | {entry['caption_loss']:.3f} | {accuracies} |")
    return "\n".join(lines)


def draw(entries: list[Entry], path: Path) -> None:
    """Losses above, validation accuracy of all questions and of whole captions below."""
    figure, (losses, accuracies) = pyplot.subplots(2, 1, figsize=(7, 6), sharex=True, layout="constrained")
    steps = [entry["step"] for entry in entries]
    for name in ("answer_loss", "caption_loss"):
        losses.plot(steps, [entry[name] for entry in entries], label=name.replace("_", " "))
    losses.set(ylabel="cross-entropy, nats a token", yscale="log")
    measured = [entry for entry in entries if "validation" in entry]
    for name, label in (("all", "answers"), ("caption", "whole captions")):
        shares = [entry["validation"][name] for entry in measured]
        accuracies.plot([entry["step"] for entry in measured], shares, marker="o", label=label)
    accuracies.set(xlabel="step", ylabel="validation accuracy", ylim=(0, 1))
    for axes in (losses, accuracies):
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=110)


def main() -> None:
    """Parse the command line, print the table, draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("log", type=Path)
    parser.add_argument("picture", type=Path)
    options = parser.parse_args()
    entries = read_log(options.log)
    print(markdown_table(entries))
    draw(entries, options.picture)


if __name__ == "__main__":
    main()
