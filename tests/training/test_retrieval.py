"""The retrieval model's trainer, and the checkpoints that are embedded."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from transformers import BlipForImageTextRetrieval, BlipForQuestionAnswering

from blipvino.demo import CHECKPOINT, RETRIEVAL_CHECKPOINT, resolve
from blipvino.demo.captions import caption
from blipvino.demo.scenes import render, sample_scene, scene_rng
from blipvino.demo.vocabulary import build_tokenizer
from training import retrieval_accuracy as measuring
from training import train_retrieval as training
from training import training_loop
from training.demo_model import export, new_model
from training.examples import normalized
from training.packed_accuracy import accuracy, examples_of
from training.plan import RetrievalPlan, TrainingPlan
from training.retrieval_accuracy import distinct_scenes, retrieval_accuracy
from training.retrieval_examples import PADDING, RetrievalBatches, encode, finding_text
from training.retrieval_model import (
    NO_TARGET,
    RetrievalLearner,
    contrastive_loss,
    embed_images,
    embed_texts,
    is_retrieval,
    match,
    new_retrieval_model,
)
from training.run_state import RunFolder
from training.training_loop import Run

CPU = torch.device("cpu")
MEGABYTE = 2**20
PAGE = Path(__file__).parents[2] / "docs/demo-model.md"


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer()


@pytest.fixture(scope="module")
def demo(tokenizer, tmp_path_factory):
    """A demo checkpoint that has learnt nothing."""
    folder = tmp_path_factory.mktemp("demo")
    torch.manual_seed(2)
    export(new_model(tokenizer.get_vocab_size(), TrainingPlan(patch=32)), tokenizer, folder)
    return folder


@pytest.fixture(scope="module")
def model(demo):
    torch.manual_seed(3)
    return new_retrieval_model(demo)


@pytest.fixture(scope="module")
def batch(tokenizer):
    return RetrievalBatches(RetrievalPlan(batch=5), tokenizer)(0)


def test_a_checkpoint_says_how_long_its_texts_are(demo, model, tokenizer, tmp_path):
    """The retrieval model makes none."""
    assert json.loads((demo / "generation_config.json").read_text())["max_new_tokens"] == 24
    export(model, tokenizer, tmp_path)
    assert not (tmp_path / "generation_config.json").exists()


def test_it_begins_as_the_demo_model(demo, model):
    trained = BlipForQuestionAnswering.from_pretrained(demo, dtype=torch.float32)
    for tower in ("vision_model", "text_encoder"):
        begun, given = (getattr(each, tower).state_dict() for each in (model, trained))
        assert begun.keys() == given.keys() and all(torch.equal(begun[name], given[name]) for name in given)


def test_it_goes_on_as_a_trained_one():
    trained = BlipForImageTextRetrieval.from_pretrained(RETRIEVAL_CHECKPOINT, dtype=torch.float32)
    begun = new_retrieval_model(RETRIEVAL_CHECKPOINT)
    expected = trained.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in begun.state_dict().items())
    assert is_retrieval(RETRIEVAL_CHECKPOINT) and not is_retrieval(CHECKPOINT)


def test_a_batch_has_texts_that_find_and_as_many_true_as_false_ones(batch, tokenizer):
    assert batch.images.shape == (5, 96, 96, 3) and batch.texts.shape[:2] == batch.truth.shape
    assert batch.truth.sum() * 2 == batch.truth.numel()
    scenes = [sample_scene("train", row) for row in range(5)]
    said = [finding_text(scene, scene_rng("train", scene.index, 3)) for scene in scenes]
    for row in range(5):
        heard = tokenizer.decode(batch.captions[row].tolist()).replace(" ,", ",")
        assert heard == said[row].text
        assert batch.fits[row].tolist() == [statement.holds(scenes[row]) for statement in said]
        assert batch.fits[row, row]
        for true, false in zip(batch.texts[row, ::2], batch.texts[row, 1::2], strict=True):
            assert not torch.equal(true, false)


def test_scenes_are_found_by_whole_captions_and_by_less():
    scenes = [sample_scene("train", row) for row in range(400)]
    said = [finding_text(scene, scene_rng("train", scene.index, 3)) for scene in scenes]
    whole = [text.text == caption(scene) for text, scene in zip(said, scenes, strict=True)]
    assert 0.35 < np.mean(whole) < 0.55
    assert 0.05 < np.mean([text.from_the_top for text in said]) < 0.15
    assert any(text.relation for text in said) and any(len(text.text.split()) < 4 for text in said)


def test_embeddings_and_matching_are_those_of_transformers(model, batch):
    pixels = normalized(batch.images)
    mask = (batch.captions != PADDING).long()
    given = {"input_ids": batch.captions, "attention_mask": mask, "pixel_values": pixels}
    with torch.no_grad():
        embeds = model.vision_model(pixel_values=pixels).last_hidden_state
        similarity = embed_images(model, embeds) @ embed_texts(model, batch.captions).T
        torch.testing.assert_close(similarity, model(**given, use_itm_head=False).itm_score, atol=1e-5, rtol=1e-5)
        matched = match(model, embeds, batch.captions)
        torch.testing.assert_close(matched, model(**given, use_itm_head=True).itm_score, atol=1e-5, rtol=1e-5)


def test_the_contrast_takes_equal_texts_for_equally_right():
    logits = torch.tensor([[2.0, 1.0, 0.0], [0.5, 3.0, 0.0], [1.0, 1.0, 1.0]])
    alone = contrastive_loss(logits, torch.eye(3, dtype=torch.bool))
    expected = [-(m.log_softmax(1).diagonal().mean()) for m in (logits, logits.T)]
    assert float(alone) == pytest.approx(float(sum(expected) / 2))
    same = torch.tensor([[1, 0, 1], [0, 1, 0], [1, 0, 1]], dtype=torch.bool)
    equal = torch.full((3, 3), -50.0).masked_fill(same, 0)
    assert float(contrastive_loss(equal, same)) == pytest.approx(2 / 3 * np.log(2), rel=1e-4)


def test_hard_negatives_are_never_true(model, batch, monkeypatch):
    """A picture that a caption is true of is no wrong one for it, and where none is wrong none is counted."""
    batch.fits[:, 1] = True
    batch.fits[2] = True
    seen, targets = [], []

    def spy(given, image_embeds, ids):
        seen.append((image_embeds, ids))
        return match(given, image_embeds, ids)

    def counted(logits, wanted, **options):
        targets.append(wanted)
        return torch.nn.functional.cross_entropy(logits, wanted, **options)

    monkeypatch.setattr("training.retrieval_model.match", spy)
    monkeypatch.setattr("training.retrieval_model.cross_entropy", counted)
    with torch.no_grad():
        losses = RetrievalLearner(model).losses(batch)
        embeds = model.vision_model(pixel_values=normalized(batch.images)).last_hidden_state
    assert all(torch.isfinite(loss) for loss in losses)
    (_, texts), (elsewhere, _) = seen
    about, of_texts = targets[-1][:-5].view(5, -1), targets[-1][-5:]
    hardest = texts.view(5, -1, texts.shape[-1])[:, -1]
    assert about[2, -1] == NO_TARGET and of_texts[1] == NO_TARGET
    for row in (0, 1, 3, 4):
        right = batch.captions[batch.fits[row]]
        assert about[row, -1] == 0 and not any(torch.equal(hardest[row], text) for text in right)
    for text in {0, 2, 3, 4} - set(torch.where(batch.fits.all(dim=0))[0].tolist()):
        right = embeds[batch.fits[:, text]]
        assert of_texts[text] == 0 and not any(torch.allclose(elsewhere[text], picture) for picture in right)


class StoppedError(Exception):
    """Stands for a killed process."""


def test_a_run_that_was_stopped_goes_on_to_the_same_checkpoint(demo, tmp_path, monkeypatch):
    monkeypatch.setattr(training_loop, "LOG_EVERY", 1)
    for name, value in {"VALIDATE_EVERY": 2, "VALIDATION_SCENES": 4}.items():
        monkeypatch.setattr(training, name, value)
    plan, log = RetrievalPlan(steps=4, batch=4, warmup=2), RunFolder.log

    def log_and_stop(self, entry):
        log(self, entry)
        if entry["step"] == 3:
            raise StoppedError

    training.train(plan, demo, Run(tmp_path / "whole", "float32", workers=0))
    with monkeypatch.context() as patched, pytest.raises(StoppedError):
        patched.setattr(RunFolder, "log", log_and_stop)
        training.train(plan, demo, Run(tmp_path / "parts", "float32", workers=0))
    training.train(plan, demo, Run(tmp_path / "parts", "float32", workers=0))
    weights = [(tmp_path / name / "checkpoint/model.safetensors").read_bytes() for name in ("whole", "parts")]
    assert weights[0] == weights[1]
    entries = [json.loads(line) for line in (tmp_path / "whole/log.jsonl").read_text().splitlines()]
    assert {"R@1", "matching"} <= set(entries[-1]["validation"])


def test_a_caption_finds_rightly_what_shows_more_than_it_says(model, tokenizer, monkeypatch):
    """It is true of that picture, too, although it was made of another."""
    more = sample_scene("test", 2)
    scenes = [more, replace(more, objects=more.objects[:1])]
    assert len(more.objects) > 1
    for first, share in {0: 1.0, 1: 0.5}.items():

        def all_find(model, texts, image_embeds, first=first):
            return dict.fromkeys((" by similarity", ""), torch.full((len(texts), 1), first))

        monkeypatch.setattr(measuring, "_firsts", all_find)
        found = retrieval_accuracy(model, tokenizer, scenes, CPU)
        assert found["R@1"] == found["R@1 by similarity"] == 0.5
        assert found["whole"] == found["whole by similarity"] == share


# What is embedded


def test_both_checkpoints_are_small_and_share_a_tokenizer():
    sizes = [sum(path.stat().st_size for path in folder.iterdir()) for folder in (CHECKPOINT, RETRIEVAL_CHECKPOINT)]
    assert sum(sizes) < 28 * MEGABYTE
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "preprocessor_config.json"):
        assert (CHECKPOINT / name).read_bytes() == (RETRIEVAL_CHECKPOINT / name).read_bytes()
    assert resolve("demo-retrieval") == RETRIEVAL_CHECKPOINT


@pytest.mark.slow
def test_the_embedded_retrieval_checkpoint_finds_and_matches_test_pictures(tokenizer):
    found = retrieval_accuracy(
        BlipForImageTextRetrieval.from_pretrained(RETRIEVAL_CHECKPOINT, dtype=torch.float32).eval(),
        Tokenizer.from_file(str(RETRIEVAL_CHECKPOINT / "tokenizer.json")),
        distinct_scenes("test", 30),
        CPU,
    )
    assert found["R@1"] > 0.9 and min(found[name] for name in ("whole", "short", "placed")) > 0.95
    judged = [share for name, share in found.items() if name.startswith(("matching", "accepted"))]
    assert len(judged) == 12 and min(judged) > 0.95


def test_the_embedded_retrieval_checkpoint_runs_as_transformers_documents_it():
    from PIL import Image
    from transformers import AutoProcessor

    processor = AutoProcessor.from_pretrained(RETRIEVAL_CHECKPOINT)
    model = BlipForImageTextRetrieval.from_pretrained(RETRIEVAL_CHECKPOINT, dtype=torch.float32).eval()
    scenes = [sample_scene("test", index) for index in range(8)]
    images, texts = [Image.fromarray(render(scene)) for scene in scenes], [caption(scene) for scene in scenes]
    with torch.no_grad():
        inputs = processor(images=images, text=texts, padding=True, return_tensors="pt")
        assert model(**inputs).itm_score.argmax(dim=1).tolist() == [1] * 8
        assert model(**inputs, use_itm_head=False).itm_score.argmax(dim=1).tolist() == list(range(8))
        inputs = processor(images=images, text=texts[1:] + texts[:1], padding=True, return_tensors="pt")
        assert model(**inputs).itm_score.argmax(dim=1).tolist() == [0] * 8


def test_the_example_in_the_documentation_finds_every_picture_by_its_text():
    (example,) = re.findall("```python\n(import torch.*?)```", PAGE.read_text(), re.DOTALL)
    found = {}
    exec(example, found)  # our own page
    assert found["matches"].shape == (3,) and found["matches"].min() > 0.9
    assert found["similarity"].shape == (3, 3) and found["similarity"].argmax(dim=1).tolist() == [0, 1, 2]


def test_the_embedded_demo_checkpoint_answers_every_type_of_question_of_the_test_split(tokenizer):
    model = BlipForQuestionAnswering.from_pretrained(CHECKPOINT, dtype=torch.float32).eval()
    found = accuracy(model, examples_of("test", 128, tokenizer, CPU))
    assert len(found) == 14 and min(found.values()) > 0.9
    assert found["all"] > 0.98


def test_a_picture_has_one_caption_among_those_that_are_searched():
    scenes = distinct_scenes("test", 200)
    assert len({caption(scene) for scene in scenes}) == 200
    assert encode(["a", "a small red ring"], build_tokenizer()).tolist()[0][3:] == [PADDING] * 29
