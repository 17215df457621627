"""Which pages are run by which file of tests: a file is one process's work, so they are about equally long."""

import pytest

GROUPS = {
    "start": ("README.md", "index.md", "start.md", "asking.md", "searching.md", "in-python.md"),
    "guides": (
        "photos.md",
        "batch.md",
        "fine-tuned.md",
        "data.md",
        "evaluation.md",
        "huggingface.md",
        "serving.md",
        "concurrency.md",
    ),
    "tutorial": ("coming-from-the-tutorial.md", "export.md", "report.md", "results.md", "demo-model.md"),
    "concepts": ("recipes.md", "accuracy.md", "cpus.md", "confidence.md", "retrieval.md", "cache.md"),
}
"""All other pages have blocks that are quickly checked."""
SLOW = frozenset(
    {
        *("accuracy.md", "coming-from-the-tutorial.md", "confidence.md", "cpus.md", "evaluation.md", "fine-tuned.md"),
        *("huggingface.md", "recipes.md", "report.md", "results.md", "retrieval.md"),
    }
)
"""Pages whose blocks take ten seconds or more, for they optimize by several recipes, or measure."""


def pages_of(group):
    """The pages of a group, as parameters of a test."""
    return [pytest.param(page, marks=[pytest.mark.slow] if page in SLOW else []) for page in GROUPS[group]]
