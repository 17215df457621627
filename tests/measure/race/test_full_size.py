"""The timing at full size: what is measured, and what comes of failures."""

import shutil
from collections import namedtuple

import numpy as np
import pytest
from tiny_config import TINY

from blipvino.checkpoint.random_weights import tensor_shapes
from blipvino.errors import CompressionError, OutputError
from blipvino.measure.race import full_size
from blipvino.measure.race.full_size import time_full_size
from blipvino.measure.race.race import Pace
from blipvino.measure.race.worker import ContenderError
from blipvino.progress import Reporter


@pytest.mark.slow
def test_both_bundles_are_measured_and_nothing_is_left(tmp_path):
    pace = Pace(rounds=2, budget=0.0)
    found = time_full_size(tmp_path, Reporter(False), config=TINY, new_tokens=3, pace=pace)
    assert (found.original.name, found.compressed.name, found.rounds) == ("FP16", "int8", 2)
    assert 1.3 < found.rate < 2.1
    assert min(found.original.caption, found.compressed.caption, found.original.first_token) > 0
    assert found.parameters == sum(np.prod(shape) for shape in tensor_shapes(TINY).values())
    assert found.to_json()["speed_up"] == found.speed_up
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (KeyboardInterrupt(), KeyboardInterrupt),
        (SystemExit(143), SystemExit),
        (ContenderError("its process died"), CompressionError),
        (OSError(28, "No space left on device"), OutputError),
    ],
)
def test_an_interrupted_timing_leaves_nothing(raised, expected, tmp_path, monkeypatch):
    seen = []

    def stopped(*arguments, **options):
        seen.extend(tmp_path.glob(".full-size.*.partial"))
        raise raised

    monkeypatch.setattr(full_size, "run_apart", stopped)
    with pytest.raises(expected):
        time_full_size(tmp_path, Reporter(False), config=TINY)
    assert len(seen) == 1
    assert list(tmp_path.iterdir()) == []


def test_too_little_disk_or_memory_is_told_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr(full_size, "run_apart", lambda *_arguments, **_options: pytest.fail("work was begun"))
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: namedtuple("Usage", "free")(1_300_000_000))
    with pytest.raises(OutputError, match=r"1\.3 GB needed for the time, 1\.3 GB free"):
        time_full_size(tmp_path, Reporter(False))
    monkeypatch.setattr(full_size, "memory_limit", lambda: 2 * 10**9)
    with pytest.raises(CompressionError, match=r"3\.6 GB of memory needed, 2\.0 GB there"):
        time_full_size(tmp_path, Reporter(False))
    assert list(tmp_path.iterdir()) == []
