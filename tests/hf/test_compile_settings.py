"""OpenVINO's settings by name."""

import openvino.properties.hint as hints
import pytest
from openvino import properties

from blipvino import EngineOptions, InputError
from blipvino.hf.compile_settings import engine_options


def test_settings_are_engine_options(tmp_path):
    assert engine_options("auto", None) == EngineOptions(device="AUTO")
    given = {
        "PERFORMANCE_HINT": "THROUGHPUT",
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": "2",
        "CACHE_DIR": str(tmp_path),
    }
    assert engine_options("CPU", given) == EngineOptions("f32", tmp_path, 2, "throughput")
    assert engine_options("CPU", {"CACHE_DIR": ""}) == EngineOptions()
    objects = {hints.performance_mode: hints.PerformanceMode.THROUGHPUT, properties.inference_num_threads: 3}
    assert engine_options("CPU", objects) == EngineOptions(threads=3, mode="throughput")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"COLOUR": "red"}, "COLOUR is no setting of blipvino's; expected some of CACHE_DIR"),
        ({"NUM_STREAMS": 2}, "NUM_STREAMS is chosen for each graph"),
        ({"INFERENCE_NUM_THREADS": "all"}, "INFERENCE_NUM_THREADS is 'all'"),
        ({"INFERENCE_PRECISION_HINT": "f16"}, "precision is 'f16'"),
        ({"PERFORMANCE_HINT": "SLOW"}, "mode is 'slow'"),
    ],
)
def test_what_there_is_not_is_one_line(settings, says):
    with pytest.raises(InputError, match=says):
        engine_options("CPU", settings)
