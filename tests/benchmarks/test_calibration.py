"""What calibration sources come to: the photographs, and the table."""

import numpy as np
import openvino as ov
import openvino.opset13 as ops
import pytest
from PIL import Image

pytest.importorskip("skimage")

from benchmarks.calibration import SAME, Found, activation_ranges, compared, table
from benchmarks.photographs import HALVES, photograph, write_crops, write_wholes


def test_no_photograph_is_in_both_halves():
    first, second = HALVES
    assert len(first) == len(second) == len({*first, *second}) / 2


def test_photographs_are_written_whole_and_as_squares(tmp_path):
    names = HALVES[0][:2]
    wholes = write_wholes(tmp_path / "whole", names)
    assert [Image.open(path).size for path in sorted(wholes.iterdir())] == [photograph(name).size for name in names]
    crops = sorted(write_crops(tmp_path / "crops", names, 5).iterdir())
    assert len(crops) == 5
    for number, path in enumerate(crops):
        width, height = Image.open(path).size
        assert width == height >= min(photograph(names[number % 2]).size) // 2
    again = sorted(write_crops(tmp_path / "again", names, 5).iterdir())
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in crops]


def test_ranges_of_activations_are_found_and_those_of_weights_are_not():
    value = ops.parameter([1, 4], np.float32, name="value")
    weights = ops.fake_quantize(np.ones((4, 4), np.float32), -9.0, 9.0, -9.0, 9.0, 255)
    quantized = ops.fake_quantize(value, np.float32(-1), np.float32(3), np.float32(-1), np.float32(3), 256)
    quantized.set_friendly_name("activation")
    model = ov.Model([ops.matmul(quantized, weights, False, False)], [value])
    assert activation_ranges(model) == {"activation": 4.0}


def test_the_table_sets_ranges_beside_those_that_fit():
    assert compared({"a": 2.0, "b": 2.0}, {"a": 1.0, "b": 4.0}) == "1.00 (50%)"
    found = {
        "shapes": Found({"vision": 20.04}, {"vision": {"a": 0.5, "b": 0.5}}),
        SAME: Found({"vision": 30.0}, {"vision": {"a": 1.0, "b": 1.0}}),
    }
    assert list(table(found, "minmax")) == [
        "| calibrated on | vision | ranges of vision |",
        "|---|---|---|",
        "| shapes | 20.0 | 0.50 (100%) |",
        f"| {SAME} | 30.0 | 1.00 (0%) |",
    ]
    assert list(table(found, "int8"))[2] == "| shapes | 20.0 |"
