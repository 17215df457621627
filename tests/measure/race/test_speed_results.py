"""What the speed benchmark found: its statistics, and its way through JSON."""

import json
from dataclasses import replace

from speed_subjects import results

from blipvino.measure.race.speed_results import Series, SpeedResults


def test_statistics():
    series = Series("caption", 1, 20, "a", (4.0, 1.0, 3.0, 2.0, 10.0), ({"step": 1.0}, {"step": 3.0}, {"step": 2.0}))
    assert (series.median, series.quartiles, series.part_medians) == (3.0, (2.0, 4.0), {"step": 2.0})
    assert replace(series, seconds=(4.0,)).quartiles == (4.0, 4.0)


def test_results_survive_json():
    assert SpeedResults.from_json(json.loads(json.dumps(results().to_json()))) == results()
