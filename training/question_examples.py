"""An example of each type of question about the shapes world, as a table: ``python -m training.question_examples``."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from blipvino.demo.questions import QUESTION_TYPES, Question
from blipvino.demo.scenes import sample_scene, scene_rng
from training.command_line import make_parser, run_command


def example(kind: str) -> Question:
    """The first question of a type about a scene of the test split."""
    asked = (QUESTION_TYPES[kind](sample_scene("test", index), scene_rng("test", index, 1)) for index in count())
    return next(question for question in asked if question is not None)


def table() -> Iterator[str]:
    """The lines of the table, in Markdown."""
    yield "| type | question | answer |"
    yield "|---|---|---|"
    for kind in QUESTION_TYPES:
        question = example(kind)
        yield f"| {kind} | {question.text} | {question.answer} |"


def main() -> None:
    """Parse the command line and print."""
    make_parser(__doc__).parse_args()
    print("\n".join(table()))


if __name__ == "__main__":
    run_command(main)
