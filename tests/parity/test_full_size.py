"""BLIP of full size with random weights: sizes and memory beside the tutorial's (slow)."""

import numpy as np
import pytest

from blipvino import Blip, optimize
from blipvino.demo.scenes import render, sample_scene


@pytest.mark.slow
def test_blip_base_matches_the_tutorials_sizes_and_fits_in_memory(tmp_path):
    from benchmarks.full_size import measure

    result = measure(tmp_path, samples=8)
    assert result.peak_rss_gb < 6
    for group in result.groups:
        assert group.fp16_kb == pytest.approx(group.tutorial_fp16_kb, rel=0.01)
        assert group.rate >= group.tutorial_rate
    blip = Blip.load(tmp_path / "int8")
    image = np.kron(render(sample_scene("test", 3)), np.ones((4, 4, 1), np.uint8))
    assert isinstance(blip.caption(image), str)
    assert blip.answer([image, image], ["how many objects are there?", "is there a cross?"])


@pytest.mark.slow
def test_blip_large_captions(tmp_path):
    from benchmarks.random_checkpoint import write_random_checkpoint

    checkpoint = write_random_checkpoint(tmp_path / "large", "large")
    optimize(checkpoint, tmp_path / "bundle", recipe="none", show_progress=False)
    blip = Blip.load(tmp_path / "bundle")
    image = render(sample_scene("test", 3))
    assert (
        blip.caption(image, max_new_tokens=3, min_new_tokens=3)
        == blip.caption([image], max_new_tokens=3, min_new_tokens=3)[0]
    )
