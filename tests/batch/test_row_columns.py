"""Which columns there are, and how rows become them."""

import json

import pyarrow as pa
import pytest

from blipvino.batch.batch_rows import TASKS, OutputRow
from blipvino.batch.row_columns import RowColumns, ordered_tasks

MADE = {
    "caption": "a dog",
    "caption_confidence": 0.5,
    "answer": "two",
    "ranked_answers": ["two", "three"],
    "ranked_logprobs": [-0.1, -2.0],
    "embedding": [0.0, 1.0],
}


def test_columns_follow_from_the_tasks():
    assert list(RowColumns(("caption",)).kinds) == [
        *("id", "image", "caption", "caption_confidence", "caption_logprob", "caption_finish_reason"),
        *("read_ms", "compute_ms", "error", "model"),
    ]
    assert "question" in RowColumns(("answer",)).kinds
    assert "question" not in RowColumns(("embed",), width=2).kinds
    assert ordered_tasks(("embed", "caption", "embed")) == ("caption", "embed")


@pytest.mark.parametrize("rows", [[], [OutputRow("a", "a.jpg", "how many?", MADE)], [OutputRow("b", None, None)] * 3])
def test_rows_are_of_one_schema_whatever_is_missing(rows):
    columns = RowColumns(TASKS, width=2)
    table = columns.arrow_table(rows)
    assert table.schema == columns.arrow_schema()
    assert table.schema.field("embedding").type == pa.list_(pa.float32(), 2)
    assert table.to_pylist() == [columns.values(row) for row in rows]
    assert json.loads(json.dumps(table.to_pylist())) == table.to_pylist()


def test_what_is_about_several_questions_is_a_list():
    columns = RowColumns(("caption", "answer", "rank"), several_questions=True)
    row = OutputRow(
        "a",
        "a.jpg",
        ("how many?", "what?"),
        {"caption": "a dog", "answer": ["two", None], "ranked_answers": [["two"], ["dog", "cat"]]},
    )
    assert columns.arrow_table([row]).to_pylist() == [columns.values(row)]
    assert columns.values(row)["question"] == ["how many?", "what?"]
    assert columns.arrow_schema().field("caption").type == pa.string()
