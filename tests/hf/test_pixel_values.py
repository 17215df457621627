"""Normalised pixels: what a processor made of an image is that image, other floats are themselves."""

import importlib

import numpy as np
import pytest
import torch
from subjects import scene_image

from blipvino import InputError
from blipvino.hf import OVBlipForConditionalGeneration
from blipvino.hf.pixel_values import grey_levels


@pytest.fixture(scope="module")
def model(tiny_captioner):
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    return OVBlipForConditionalGeneration.from_pretrained(tiny_captioner.bundle, ov_config=settings)


def test_every_grey_level_comes_back_from_every_type(model):
    preprocessor = model.blip.images.config
    size = preprocessor.size
    rows = np.resize(np.arange(256, dtype=np.uint8), (1, size, size, 3))
    mean, std = (np.array(each, np.float32) for each in (preprocessor.image_mean, preprocessor.image_std))
    values = (((rows / 255).astype(np.float32) - mean) / std).transpose(0, 3, 1, 2)
    for dtype in (np.float32, np.float16):
        given = values.astype(dtype)
        levels, known = grey_levels(given.astype(np.float32), preprocessor, float(np.finfo(dtype).eps))
        assert known.tolist() == [True] and np.array_equal(levels, rows), dtype
    coarse = torch.from_numpy(values).to(torch.bfloat16)  # has fewer than 256 steps in places
    levels, known = grey_levels(coarse.float().numpy(), preprocessor, torch.finfo(torch.bfloat16).eps)
    assert known.tolist() == [True] and np.abs(levels.astype(int) - rows).max() <= 1


def test_a_fused_normalisation_is_known_too(model):
    preprocessor = model.blip.images.config
    levels = np.random.default_rng(0).integers(0, 256, (1, 3, preprocessor.size, preprocessor.size))
    mean, std = (
        np.array(each, np.float32).reshape(1, 3, 1, 1) * np.float32(255)
        for each in (preprocessor.image_mean, preprocessor.image_std)
    )
    found, known = grey_levels(((levels.astype(np.float32) - mean) / std), preprocessor)
    assert known.all() and np.array_equal(found[0], levels[0].transpose(1, 2, 0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_tokens_are_those_of_the_image_itself(model, tiny_captioner, dtype):
    images = [scene_image(index) for index in range(3)]
    found = model.generate(tiny_captioner.pixel_values(images).to(dtype), max_new_tokens=8)
    expected = tiny_captioner.blip.caption_ids(images, max_new_tokens=8)
    assert [row[: len(ids)] for row, ids in zip(found.tolist(), expected, strict=True)] == expected
    assert len(model.blip.extractor.cache._known) >= 3  # known by their content from now on


def test_other_floats_go_through_as_they_are(model, tiny_captioner):
    size = model.blip.images.config.size
    values = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    values[1] = tiny_captioner.pixel_values([scene_image(0)])[0]
    with torch.no_grad():
        expected = tiny_captioner.oracle.vision_model(values).last_hidden_state
    found = np.stack([image.image_embeds for image in model.pixels.features(values)])
    np.testing.assert_allclose(found, expected, atol=2e-2)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (np.full((1, 3, 35, 35), np.nan, np.float32), "no number"),
        (np.zeros((1, 3, 35, 35), np.uint8), "ndarray of uint8, expected floats"),
        (np.zeros((3, 35, 35), np.float32), r"are \[3, 35, 35\], expected \[batch, 3, 35, 35\]"),
        (np.zeros((0, 3, 35, 35), np.float32), "expected"),
        (None, "expected"),
        ([torch.zeros(3, 34, 34)], r"\[1, 3, 34, 34\]"),
    ],
)
def test_what_is_no_image_is_refused(model, values, says):
    with pytest.raises(InputError, match=says):
        model.pixels.features(values)


def test_a_list_of_images_is_a_batch(model, tiny_captioner):
    rows = list(tiny_captioner.pixel_values([scene_image(0), scene_image(1)]))
    assert importlib.import_module("torch").is_tensor(rows[0])
    assert len(model.pixels.features(rows)) == 2
