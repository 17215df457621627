"""The table of questions in the documentation."""

from pathlib import Path

from blipvino.demo.questions import QUESTION_TYPES
from training.question_examples import example, table

PAGE = Path(__file__).parents[2] / "docs/demo-model.md"


def test_every_type_has_an_example_of_its_own():
    assert all(example(kind).kind == kind for kind in QUESTION_TYPES)


def test_the_documentation_has_the_table_as_it_is_printed():
    assert "\n".join(table()) in PAGE.read_text()
