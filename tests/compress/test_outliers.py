"""Outlier channels: the same outputs, much harder to quantize."""

import json

import nncf
import numpy as np
import openvino as ov
import pytest
from typer.testing import CliRunner

from blipvino import InputError, OutputError
from blipvino.checkpoint.tensors import load_checkpoint
from blipvino.cli.main import app
from blipvino.compress.outliers import OutlierOptions, add_outliers, outlier_sites
from blipvino.data.demo import demo_sample
from blipvino.demo import CHECKPOINT
from blipvino.graphs.building import build_graph


def stressed(source, folder, **options):
    """An opened checkpoint with outliers, made of the one in ``source``."""
    with load_checkpoint(source) as checkpoint:
        add_outliers(checkpoint, folder, OutlierOptions(**options))
    return load_checkpoint(folder)


def run(model, given):
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return {port.get_any_name(): value for port, value in compiled(given).items()}


def chain(checkpoint, prompt=(5, 7)):
    """Everything that a checkpoint computes of noise: an answer's first step where it answers, a caption's always."""
    rng = np.random.default_rng(3)
    size = checkpoint.config.vision.image_size
    found = run(build_graph(checkpoint, "vision"), {"pixels": rng.integers(0, 256, (1, size, size, 3), np.uint8)})
    sources = {"caption": found["image_embeds"]}
    if checkpoint.config.answers_questions:
        projected = run(build_graph(checkpoint, "question_kv"), {"image_embeds": found["image_embeds"]})
        tokens = rng.integers(6, 50, (1, 6))
        asked = {"input_ids": tokens, "attention_mask": np.ones_like(tokens), **projected}
        sources["answer"] = run(build_graph(checkpoint, "question"), asked)["question_states"]
    logits = {}
    for name, states in sources.items():
        given = {
            "input_ids": np.array([prompt]),
            "position_ids": np.arange(len(prompt))[None],
            "beam_idx": np.zeros(1, np.int32),
            "source_mask": np.ones(states.shape[:2], np.int64),
            **run(build_graph(checkpoint, "answer_kv"), {"source_states": states}),
        }
        logits[name] = run(build_graph(checkpoint, "answer"), given)["logits"]
    return sources, logits


@pytest.mark.parametrize("fixture", ["tiny_vqa", "tiny_captioner"])
@pytest.mark.parametrize("factor", [50.0, 64.0])
def test_outputs_stay_the_same(request, tmp_path, fixture, factor):
    folder = request.getfixturevalue(fixture).folder
    with load_checkpoint(folder) as plain, stressed(folder, tmp_path / "hard", factor=factor, channels=3) as hard:
        (states, before), (hard_states, after) = chain(plain), chain(hard)
    for name, logits in before.items():
        np.testing.assert_allclose(after[name], logits, rtol=1e-4, atol=1e-4 * np.abs(logits).max())
        # what the decoder reads has the outliers, and only they differ
        ratio = hard_states[name] / states[name]
        outliers = np.isclose(ratio, factor, rtol=1e-2).all(axis=(0, 1))
        assert outliers.sum() == 3
        np.testing.assert_allclose(ratio[..., ~outliers], 1, rtol=1e-2)


def vision_error(checkpoint):
    """Noise-to-signal of the image embeddings when `vision` has 8-bit ranges without SmoothQuant."""
    images = [{"pixels": demo_sample("test", index).image()} for index in range(4)]
    images = [{"pixels": np.asarray(given["pixels"].convert("RGB"))[None]} for given in images]
    model = build_graph(checkpoint, "vision")
    exact = [run(model, given)["image_embeds"] for given in images]
    unsmoothed = nncf.AdvancedQuantizationParameters(
        smooth_quant_alphas=nncf.AdvancedSmoothQuantParameters(matmul=-1, convolution=-1)
    )
    quantized = nncf.quantize(
        model,
        nncf.Dataset(images),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(images),
        advanced_parameters=unsmoothed,
    )
    found = [run(quantized, given)["image_embeds"] for given in images]
    # each channel in its own measure, so that the embeddings' own outliers do not drown the rest
    errors = [((a - b) ** 2).sum((0, 1)) / (b**2).sum((0, 1)) for a, b in zip(found, exact, strict=True)]
    return float(np.mean(errors))


def test_eight_bits_without_smoothing_are_much_worse_with_outliers(tmp_path):
    with load_checkpoint(CHECKPOINT) as plain, stressed(CHECKPOINT, tmp_path / "hard") as hard:
        assert vision_error(hard) > 10 * vision_error(plain)


def test_every_site_has_as_many_larger_channels_as_asked_and_the_seed_chooses_them(tiny_vqa, tmp_path):
    with load_checkpoint(tiny_vqa.folder) as plain:
        sites = outlier_sites(plain)
        first, again, other = (
            add_outliers(plain, tmp_path / name, OutlierOptions(seed=seed))
            for name, seed in (("first", 0), ("again", 0), ("other", 1))
        )
        assert first == again != other
        assert [one.site for one in first] == [site.name for site in sites]
        with load_checkpoint(tmp_path / "first") as hard:
            assert hard.names() == plain.names()
            for site, one in zip(sites, first, strict=True):
                rows = site.first_row + np.array(one.channels)
                for name in site.writers:
                    before, after = (each.tensor(f"{name}.bias") for each in (plain, hard))
                    assert len(one.channels) == 4
                    np.testing.assert_allclose(after[rows], 50 * before[rows], rtol=1e-5)
                    others = np.setdiff1d(np.arange(site.width) + site.first_row, rows)
                    np.testing.assert_array_equal(after[others], before[others])


def test_without_values_the_norms_alone_are_scaled(tiny_vqa, tmp_path):
    with load_checkpoint(tiny_vqa.folder) as plain:
        scaled = add_outliers(plain, tmp_path / "hard", OutlierOptions(values=False))
    assert {one.site.rsplit(".", 1)[-1] for one in scaled} == {"layer_norm1", "layer_norm2", "post_layernorm"}


def test_the_new_folder_opens_in_transformers_and_answers_alike(tiny_vqa, tmp_path):
    import torch
    from transformers import BlipForQuestionAnswering

    stressed(tiny_vqa.folder, tmp_path / "hard", channels=2).close()
    hard = BlipForQuestionAnswering.from_pretrained(tmp_path / "hard", dtype=torch.float32).eval()
    pixels = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    ids = torch.tensor([[6, 9, 11, 14]])
    with torch.no_grad():
        before, after = (
            model.text_encoder(ids, encoder_hidden_states=model.vision_model(pixels).last_hidden_state)[0]
            for model in (tiny_vqa.oracle, hard)
        )
    ratio = (after / before).median(dim=1).values[0].sort().values
    torch.testing.assert_close(ratio[-2:], torch.full((2,), 50.0), rtol=1e-2, atol=0)
    torch.testing.assert_close(ratio[:-2], torch.ones(46), rtol=1e-2, atol=0)


@pytest.mark.parametrize(
    ("options", "says"),
    [({"factor": 1.0}, "above 1"), ({"factor": float("nan")}, "above 1"), ({"channels": 0}, "at least 1")],
)
def test_options_out_of_range_are_refused(options, says):
    with pytest.raises(InputError, match=says):
        OutlierOptions(**options)


def test_more_channels_than_there_are_and_a_taken_folder_are_refused(tiny_vqa, tmp_path):
    with load_checkpoint(tiny_vqa.folder) as checkpoint:
        with pytest.raises(InputError, match="1000 channels of 48"):
            add_outliers(checkpoint, tmp_path / "hard", OutlierOptions(channels=1000))
        with pytest.raises(OutputError, match="already exists"):
            add_outliers(checkpoint, tiny_vqa.folder, OutlierOptions())
    assert list(tmp_path.iterdir()) == []


def test_the_command_line_writes_a_checkpoint(tmp_path):
    asked = ["stress", "demo", "-o", str(tmp_path / "hard"), "--channels", "2", "--json"]
    result = CliRunner().invoke(app, asked, catch_exceptions=False)
    printed = json.loads(result.stdout)
    assert printed["factor"] == 50 and all(len(site["channels"]) == 2 for site in printed["sites"])
    with load_checkpoint(CHECKPOINT) as plain, load_checkpoint(tmp_path / "hard") as hard:
        assert hard.names() == plain.names() and hard.require_tokenizer().is_file()
        assert hard.preprocessor_config == plain.preprocessor_config
