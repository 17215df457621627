"""BLIP with random weights: the demo's checkpoint and timing; sizes and memory beside the tutorial's (slow)."""

import shutil
from collections import namedtuple
from dataclasses import replace

import numpy as np
import pytest

from blipvino import Blip, optimize
from blipvino.checkpoint.architectures import CAPTIONING, QUESTION_ANSWERING
from blipvino.checkpoint.config import BlipConfig, TextConfig, VisionConfig
from blipvino.checkpoint.random_weights import BLIP_BASE, tensor_shapes, write_random_checkpoint
from blipvino.demo.scenes import render, sample_scene
from blipvino.errors import CheckpointError, CompressionError, OutputError
from blipvino.measure.race import full_size
from blipvino.measure.race.full_size import FullSize, Measured, time_full_size
from blipvino.measure.race.full_size_table import LABEL, full_size_summary, full_size_table
from blipvino.measure.race.race import Pace
from blipvino.measure.race.worker import ContenderError
from blipvino.progress import Reporter

TINY = BlipConfig(
    CAPTIONING,
    VisionConfig(48, 64, 3, 3, image_size=32, patch_size=8),
    TextConfig(204, 64, 48, 80, 2, 4, max_position_embeddings=64, bos_token_id=5, sep_token_id=3),
)
"""Two widths, and no two sizes alike, so that none can stand for another."""
FOUND = FullSize(
    Measured("FP16", 400_000_000, 1.2, 0.5, 900_000_000),
    Measured("int8", 200_000_000, 0.8, 0.4, 600_000_000),
    parameters=224_000_000,
    new_tokens=11,
    rounds=4,
    arithmetic="float",
    reason="Float arithmetic with 8-bit weights: a CPU",
)


def torch_model(config, device):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    text, vision = (vars(section) for section in (config.text, config.vision))
    with torch.device(device):
        whole = transformers.BlipConfig(text_config=text, vision_config=vision)
        return transformers.BlipForConditionalGeneration(whole)


@pytest.mark.parametrize("config", [BLIP_BASE, TINY], ids=["base", "tiny"])
def test_the_random_checkpoint_has_the_tensors_of_the_class_that_it_names(config):
    model = torch_model(config, "meta")
    tied = set(model._tied_weights_keys)
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items() if name not in tied}
    assert tensor_shapes(config) == expected


def test_transformers_reads_the_random_checkpoint_without_a_tensor_left_over(tmp_path):
    transformers = pytest.importorskip("transformers")
    write_random_checkpoint(tmp_path, TINY)
    model, told = transformers.BlipForConditionalGeneration.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(told.values()), told
    assert model.config.text_config.num_attention_heads == 4
    weight = model.text_decoder.bert.embeddings.word_embeddings.weight
    assert weight.std().item() == pytest.approx(0.02, rel=0.05)


def test_the_same_seed_writes_the_same_checkpoint(tmp_path):
    contents = []
    for number, seed in enumerate((0, 0, 1)):
        folder = tmp_path / str(number)
        folder.mkdir()
        contents.append((write_random_checkpoint(folder, TINY, seed=seed) / "model.safetensors").read_bytes())
    assert contents[0] == contents[1] != contents[2]


def test_random_weights_are_made_of_captioners_alone():
    with pytest.raises(CheckpointError, match="expected BlipForConditionalGeneration"):
        tensor_shapes(replace(TINY, architecture=QUESTION_ANSWERING))


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


def test_the_table_has_both_models_and_how_many_times_less_the_compressed_one_takes():
    table = full_size_table(FOUND)
    assert "224 million parameters, random weights" in table.title
    assert table.columns == ("", "FP16", "int8", "times less")
    assert table.rows == (
        ("weights", "400.0 MB", "200.0 MB", "2.00"),
        ("caption, 11 tokens", "1,200 ms", "800 ms", "1.50"),
        ("its first token", "500 ms", "400 ms", "1.25"),
        ("each further one", "70.0 ms", "40.0 ms", "1.75"),
        ("peak memory", "900.0 MB", "600.0 MB", "1.50"),
    )


def test_what_was_not_measured_is_left_out_of_the_table():
    unknown = replace(FOUND.original, peak_memory=None, first_token=2.0)
    assert [row[0] for row in full_size_table(replace(FOUND, original=unknown)).rows] == [
        "weights",
        "caption, 11 tokens",
        "its first token",
    ]


def test_the_timing_is_labelled_and_says_where_more_is_to_be_had():
    told = " ".join(full_size_summary(FOUND))
    assert LABEL in told
    assert FOUND.reason in told
    assert "VNNI or AMX" in told
    assert "VNNI or AMX" not in " ".join(full_size_summary(replace(FOUND, arithmetic="int8")))


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
