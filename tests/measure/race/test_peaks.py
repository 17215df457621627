"""The peaks of the machine. No timings."""

import pytest

from blipvino.measure.race.peaks import PeakSizes, matmul_peak, measure_peaks


def test_peaks():
    peaks = measure_peaks(PeakSizes(8, ((64, 96, 128), (128, 128, 128))), threads=1)
    assert 1e8 < peaks.bandwidth < 1e12
    assert {"int8", "f32"} <= set(peaks.macs) and all(1e7 < macs < 1e15 for macs in peaks.macs.values())


@pytest.mark.parametrize("kind", ["int8", "f32"])
@pytest.mark.parametrize("shape", [(1, 32, 32), (33, 48, 17)])
def test_peaks_of_odd_sizes(kind, shape):
    assert matmul_peak(kind, shape, threads=1) > 0
