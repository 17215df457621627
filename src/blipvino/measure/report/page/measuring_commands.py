"""The commands that measure a bundle again, as the shell takes them."""

from __future__ import annotations

from typing import Any

from blipvino.measure.recall.retrieval_evaluation import RetrievalEvaluation
from blipvino.measure.report.report import Report
from blipvino.optimization.commands import shell_command


def evaluate_command(report: Report) -> str:
    """The command that measures accuracy, as the report did."""
    evaluation = report.evaluation
    options: dict[str, Any] = {"data": evaluation.data.source}
    if isinstance(evaluation, RetrievalEvaluation):
        chosen = evaluation.options
        options |= {
            "images": chosen.images,
            "texts": chosen.texts,
            "candidates": chosen.candidates,
            "seed": chosen.seed,
        }
    elif evaluation.options is not None:
        asked = evaluation.options
        options |= {"samples": asked.samples, "captions": asked.captions, "max-new-tokens": asked.max_new_tokens}
        options |= {"num-beams": asked.num_beams, "seed": asked.seed, "answers": asked.answers}
    return shell_command("evaluate", report.bundle.folder, options)


def report_command(report: Report) -> str:
    """The command that makes the report."""
    asked, found = report.options, report.evaluation
    said = {"samples": asked.samples, "captions": asked.captions}
    options = {
        "data": report.data,
        **({"images": found.options.images} if isinstance(found, RetrievalEvaluation) else said),
        "latency-samples": asked.latency_samples,
        "diagnose-samples": asked.diagnose_samples,
        "max-new-tokens": None if isinstance(found, RetrievalEvaluation) else asked.max_new_tokens,
        "seed": asked.seed,
        "output": "report.html",
    }
    return shell_command("report", report.bundle.folder, options)
