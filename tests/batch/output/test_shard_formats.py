"""Rows into files and back."""

import io
import json
import math

import pyarrow.parquet as pq
import pytest

from blipvino.batch.batch_rows import OutputRow
from blipvino.batch.output.shard_formats import FORMATS, FinishedRow
from blipvino.batch.row_columns import RowColumns

COLUMNS = RowColumns(("caption", "rank", "embed"), width=2)
ROWS = [
    OutputRow("ünï\n1", "od\udcffd.png", "what?", {"caption": 'a "dog"', "embedding": [0.6, 0.8]}, 1.23456, 2.0),
    OutputRow("2", None, None, {"ranked_answers": ["a", "b"], "ranked_logprobs": [-0.5, -math.inf]}, model="m"),
    OutputRow("3", "s3://b/3.png", None, error="no\udcff picture"),
]


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_written_is_read_again(form):
    file = io.BytesIO()
    writer = FORMATS[form].writer(file, COLUMNS)
    writer.write(ROWS[:2])
    writer.write(ROWS[2:])
    writer.end()
    assert not file.closed
    file.seek(0)
    finished = list(FORMATS[form].finished(file, "shard"))
    assert finished == [FinishedRow("ünï\n1", False), FinishedRow("2", False), FinishedRow("3", True)]
    file.seek(0)
    if form == "parquet":
        rows = pq.read_table(file).to_pylist()
        assert rows[1]["ranked_logprobs"] == [-0.5, -math.inf]
        assert rows[0]["embedding"] == pytest.approx([0.6, 0.8])
    else:
        rows = [json.loads(line, parse_constant=pytest.fail) for line in file]
        assert rows[1]["ranked_logprobs"] == [-0.5, None]
        assert rows[0]["embedding"] == [0.6, 0.8]
    assert [list(row) for row in rows] == [list(COLUMNS.kinds)] * 3
    assert [row["image"] for row in rows] == ["od\\udcffd.png", None, "s3://b/3.png"]
    assert rows[0]["caption"] == 'a "dog"'
    assert (rows[0]["read_ms"], rows[2]["error"], rows[1]["model"]) == (1.235, "no\\udcff picture", "m")
