"""Rows go through Arrow and come out as they were."""

from contextlib import closing

import numpy as np
import pyarrow as pa

from blipvino.batch.batch_rows import InputRow
from blipvino.batch.on_ray.ray_rows import listed_rows, listed_table, read_rows, read_table
from blipvino.batch.stages.row_reader import RowReader
from blipvino.checkpoint.config import PreprocessorConfig
from blipvino.errors import ImageError
from blipvino.runtime.inputs.images import ImageProcessor


def processor(size):
    return ImageProcessor(PreprocessorConfig(size=size, resample=3, image_mean=(0, 0, 0), image_std=(1, 1, 1)))


def test_listed_rows_come_out_as_they_were(photos):
    rows = [
        InputRow("a", str(photos / "a" / "0.png")),
        InputRow("b", b"content", "what is it?"),
        InputRow("c", None, error="line 3: no image"),
        InputRow("d", "s3://bucket/d.png"),
    ]
    table = pa.concat_tables([listed_table(rows[:2]), listed_table(rows[2:])])
    assert list(listed_rows(table)) == rows
    assert list(listed_rows(table.slice(1, 2))) == rows[1:3]
    assert table.column("id").to_pylist() == ["a", "b", "c", "d"]


def test_pixels_take_the_place_of_files(photos):
    paths = [photos / "a" / "0.png", photos / "b" / "bad.png", photos / "b" / "1.png"]
    rows = [
        InputRow("first", str(paths[0])),
        InputRow("same", str(paths[0]), "what is it?"),
        InputRow("bad", str(paths[1])),
        InputRow("bytes", paths[2].read_bytes()),
    ]
    with closing(RowReader(iter(rows), processor(32), processor(16), 4)) as reader:
        table = read_table(reader)
    found = list(read_rows(table))
    assert [row for row, _ in found] == [*rows[:3], InputRow("bytes", None)]
    first, same, bad, content = (read for _, read in found)
    assert same is first
    np.testing.assert_array_equal(first.texts.pixels, processor(32).pixels([paths[0]])[0])
    np.testing.assert_array_equal(first.pixels, processor(16).pixels([paths[0]])[0])
    np.testing.assert_array_equal(content.texts.pixels, processor(32).pixels([paths[2]])[0])
    assert first.milliseconds > 0
    assert isinstance(bad, ImageError) and str(bad).startswith(str(paths[1]))


def test_without_a_model_there_are_no_pixels(photos):
    rows = [InputRow("a", str(photos / "a" / "0.png"))]
    with closing(RowReader(iter(rows), None, processor(16), 4)) as reader:
        ((_, found),) = read_rows(read_table(reader))
    assert found.texts is None
    assert found.pixels.shape == (16, 16, 3)
