"""The card in a bundle."""

import pytest
from huggingface_hub import ModelCard
from report_subjects import DIGEST, GRAPHS, SEARCH, details
from subjects import save_tiny

from blipvino import optimize
from blipvino.bundle.bundle import open_bundle
from blipvino.bundle.manifest import SourceInfo
from blipvino.bundle.records import Measurements
from blipvino.optimization.card import card, inherited
from blipvino.recipe import FP16, Recipe

SIZES = dict.fromkeys(GRAPHS, 1_000_000)


def test_the_card_of_a_hub_checkpoint_has_the_front_matter_of_the_hub(tmp_path):
    source = SourceInfo("Salesforce/blip-vqa-base", "a" * 40, DIGEST)
    text = card(details(source=source), SIZES, {"license": "bsd-3-clause"})
    (tmp_path / "README.md").write_text(text)
    front = ModelCard.load(tmp_path / "README.md").data.to_dict()
    assert front == {
        "library_name": "openvino",
        "pipeline_tag": "visual-question-answering",
        "base_model": "Salesforce/blip-vqa-base",
        "base_model_relation": "quantized",
        "license": "bsd-3-clause",
        "tags": ["openvino", "nncf", "blip", "blipvino", "int8"],
    }
    assert "- `question_kv`: keys and values of the image" in text
    assert "- `ptq_int8`: post-training quantization" in text
    assert "pip install" not in text  # there is no distribution to name
    assert "| all |  | 5.00 | 10.00 | 2.00 |" in text
    assert f"--revision {'a' * 40}" in text
    assert "Neither accuracy nor speed was measured" in text
    assert "Calibrated on 300 samples (300 images) of `demo:validation`" in text


def test_the_card_of_a_folder_names_no_base_model_and_no_place():
    source = SourceInfo("/home/me/secret/blip", None, DIGEST)
    fp16 = Recipe("none", "", dict.fromkeys(GRAPHS, FP16))
    text = card(details(source=source, recipe=fp16, calibration=None, measurements=Measurements()), SIZES, {})
    front = ModelCard(text).data.to_dict()
    assert "base_model" not in front
    assert "license" not in front
    assert front["tags"] == ["openvino", "blip", "blipvino", "fp16"]
    assert "secret" not in text
    assert "No calibration data" in text


def test_the_card_tells_how_the_recipe_was_found():
    text = card(details(search=SEARCH), SIZES, {})
    assert "chosen by accuracy on 1000 samples" in text
    assert "at most 0.7 points less finished" in text
    assert "| 1 |" in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('---\nlicense: "bsd-3-clause"\ntags: [a]\n---\n# BLIP\nlicense: none', {"license": "bsd-3-clause"}),
        ("---\r\nlicense: other\r\nlicense_name: mine\r\n---\r\n", {"license": "other", "license_name": "mine"}),
        ("# BLIP\nlicense: mit", {}),
        ("---\nlicense: [\n---\n", {}),
        (None, {}),
    ],
)
def test_a_license_is_taken_from_the_checkpoints_own_card(text, expected, tmp_path):
    if text is not None:
        (tmp_path / "README.md").write_bytes(text.encode())
    assert inherited(tmp_path) == expected


def test_every_bundle_has_its_card_which_is_verified(compressed, tiny_vqa):
    assert "README.md" in compressed.manifest.files
    text = (compressed.folder / "README.md").read_text()
    assert ModelCard(text).data.to_dict()["library_name"] == "openvino"
    assert str(tiny_vqa.folder) not in text
    open_bundle(compressed.folder).verify(["README.md"])


def test_the_same_checkpoint_gives_the_same_bundle_its_card_included(tiny_vqa, tmp_path):
    again = optimize(tiny_vqa.folder, tmp_path / "again", recipe="none", show_progress=False)
    assert again.fingerprint == open_bundle(tiny_vqa.bundle).fingerprint


def test_a_checkpoints_license_comes_into_the_bundle(tmp_path):
    save_tiny(tmp_path / "captioner", "BlipForConditionalGeneration", seed=1)
    (tmp_path / "captioner" / "README.md").write_text("---\nlicense: bsd-3-clause\n---\n")
    made = optimize(tmp_path / "captioner", tmp_path / "bundle", recipe="none", show_progress=False)
    front = ModelCard.load(made.folder / "README.md").data.to_dict()
    assert front["license"] == "bsd-3-clause"
    assert front["pipeline_tag"] == "image-to-text"


def test_the_card_of_a_model_for_retrieval_shows_how_to_find_and_match(retrieval_int8):
    text = (retrieval_int8 / "README.md").read_text()
    assert ModelCard(text).data.pipeline_tag == "zero-shot-image-classification"
    assert "tells which texts go with which images" in text
    assert "BlipRetriever.load" in text
    assert "caption" not in text.split("## How to use it")[1]
    assert "| match_kv |" in text
