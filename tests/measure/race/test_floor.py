"""How fast a graph could be at best: the formulas, and what the floors are formed from."""

from dataclasses import replace

from speed_subjects import results

from blipvino.checkpoint.config import TextConfig, VisionConfig
from blipvino.measure.race.floor import cross_kv_values, floors, vision_macs
from blipvino.measure.race.speed_results import Peaks


def test_floor_formulas():
    base = VisionConfig()
    assert vision_macs(base) == 576 * 768 * 768 + 12 * (4 * 577 * 768**2 + 2 * 577**2 * 768 + 2 * 577 * 768 * 3072)
    assert round(vision_macs(base) / 1e9, 1) == 55.5
    assert cross_kv_values(base, TextConfig()) == 10_635_264


def test_floors_are_formed_from_peaks_and_facts():
    vision, step = floors(results())
    assert (vision.floor, step.floor) == (0.1, 0.2)
    assert (vision.ratio, round(step.ratio, 9)) == (2.0, 1.5)
    with_bf16 = replace(results(), peaks=Peaks(1e9, {"int8": 5e9, "f32": 1e9, "bf16": 2e9}))
    assert floors(with_bf16)[1].floor == 0.15


def test_a_quantized_graph_that_runs_in_float_is_held_to_floats_peak():
    measured = results("avx2")
    vision, step = floors(replace(measured, machine=replace(measured.machine, quantized="float")))
    assert (vision.floor, step.floor) == (0.5, 0.2)
    assert "(f32)" in vision.limit


def test_activations_in_7_bits_are_held_to_the_peak_of_8_bit_kernels():
    assert results("avx2").machine.quantized == "int7"
    assert "(int8)" in floors(results("avx2"))[0].limit
