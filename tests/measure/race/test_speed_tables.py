"""The speed benchmark's tables tell the arithmetic that ran."""

from dataclasses import replace

import pytest
from speed_subjects import machine, with_fp16

from blipvino.measure.race.speed_tables import speed_tables
from blipvino.text.tables import markdown


@pytest.mark.parametrize(
    ("machine_class", "told"),
    [("avx2", "8-bit arithmetic with 7-bit activations"), ("avx-vnni", "8-bit arithmetic")],
)
def test_latencies_tell_the_arithmetic_that_ran(machine_class, told):
    found = with_fp16(2.0, step=0.4)
    text = markdown(speed_tables(replace(found, machine=machine(machine_class))))
    assert f"| blipvino-int8, {told} | 1,000 |" in text and "| blipvino FP16 | 2,000 |" in text
    old = replace(found, machine=machine(machine_class, quantized=""))
    assert "| blipvino-int8 | 1,000 |" in markdown(speed_tables(old))
