"""Matching and embeddings are those of transformers."""

import importlib

import numpy as np
import pytest
import torch
from PIL import Image
from subjects import scene_image

from blipvino import InputError
from blipvino.demo import RETRIEVAL_CHECKPOINT
from blipvino.hf import OVBlipForImageTextRetrieval, pipeline

TEXTS = ["a small red circle", "a large plain square above a ring", "a star"]


@pytest.fixture(scope="module")
def model():
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    return OVBlipForImageTextRetrieval.from_pretrained("demo-retrieval", ov_config=settings)


@pytest.fixture(scope="module")
def oracle():
    transformers = importlib.import_module("transformers")
    load = transformers.BlipForImageTextRetrieval.from_pretrained
    return load(RETRIEVAL_CHECKPOINT, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def inputs():
    processor = importlib.import_module("transformers").AutoProcessor.from_pretrained(RETRIEVAL_CHECKPOINT)
    images = [scene_image(index) for index in range(3)]
    return processor(images=images, text=TEXTS, padding=True, return_tensors="pt")


@pytest.mark.parametrize("use_itm_head", [True, False])
def test_scores_are_those_of_transformers(model, oracle, inputs, use_itm_head):
    with torch.no_grad():
        expected = oracle(**inputs, use_itm_head=use_itm_head)
    found = model(**inputs, use_itm_head=use_itm_head)
    assert found.itm_score.shape == expected.itm_score.shape == ((3, 2) if use_itm_head else (3, 3))
    torch.testing.assert_close(found.itm_score, expected.itm_score, atol=5e-2, rtol=1e-2)
    assert torch.equal(model(**inputs, use_itm_head=use_itm_head, return_dict=False)[0], found[0])


def test_features_are_of_length_1_and_of_any_number(model, inputs):
    images = model.get_image_features(inputs["pixel_values"])
    texts = model.get_text_features(inputs["input_ids"][:2].numpy(), inputs["attention_mask"][:2])
    for made in (images, texts):
        torch.testing.assert_close(made.norm(dim=-1), torch.ones(len(made)))
    scores = model(inputs["input_ids"][:2], inputs["pixel_values"], False, inputs["attention_mask"][:2]).itm_score
    torch.testing.assert_close(scores, images @ texts.T)
    np.testing.assert_allclose(images, model.blip.embed_images([scene_image(index) for index in range(3)]), atol=1e-5)


def test_it_makes_no_texts(model, inputs):
    assert not model.can_generate() and not hasattr(model, "generate")
    with pytest.raises(InputError, match="input_ids have 2 rows, pixel_values 3"):
        model(inputs["input_ids"][:2], inputs["pixel_values"])


def test_labels_of_an_image_have_scores(model, tmp_path):
    classify = pipeline("zero-shot-image-classification", model)
    images = [Image.fromarray(scene_image(index)) for index in range(3)]
    images[0].save(tmp_path / "0.png")
    options = {"candidate_labels": TEXTS, "hypothesis_template": "{}"}
    found = classify(str(tmp_path / "0.png"), **options)
    assert [list(each) for each in found] == [["score", "label"]] * 3
    assert sum(each["score"] for each in found) == pytest.approx(1)
    assert [each["score"] for each in found] == sorted((each["score"] for each in found), reverse=True)
    several = classify(images, batch_size=2, **options)
    assert len(several) == 3
    for alone, together in zip(found, several[0], strict=True):
        assert alone["label"] == together["label"] and alone["score"] == pytest.approx(together["score"], abs=1e-4)
    cosines = model.blip.embed_images(images[0]) @ model.blip.embed_texts(TEXTS).T
    assert found[0]["label"] == TEXTS[int(cosines.argmax())]
    commas = classify(images[0], candidate_labels=", ".join(TEXTS), hypothesis_template="{}")
    assert [each["label"] for each in commas] == [each["label"] for each in found]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "needs an image and candidate_labels"),
        ({"candidate_labels": []}, "expected a list of texts"),
        ({"candidate_labels": [1]}, "expected a list of texts"),
        ({"candidate_labels": ["a"], "hypothesis_template": "a photo"}, "expected a text with {} for the label"),
    ],
)
def test_what_is_wrong_is_one_line(model, options, says):
    with pytest.raises(InputError) as refusal:
        pipeline("zero-shot-image-classification", model)("0.png", **options)
    assert says in str(refusal.value)
