"""Evaluating a bundle for retrieval: the figures are those of counting by hand, and INT8 is near float32."""

import json
from dataclasses import replace

import numpy as np
import pytest
from subjects import EXACT

from blipvino import BlipRetriever, InputError
from blipvino.data import DemoSource
from blipvino.measure.recall.evaluate_retrieval import RetrievalRun, evaluate_retrieval
from blipvino.measure.recall.judging import judge_gallery
from blipvino.measure.recall.recall_scores import first_agreement, matching_scores, recall_scores
from blipvino.measure.recall.retrieval_evaluation import RetrievalEvaluation, RetrievalOptions
from blipvino.measure.recall.text_gallery import choose_gallery
from blipvino.progress import Reporter

HALF_A_POINT = 0.005
QUIET = RetrievalRun(show_progress=False)


@pytest.fixture(scope="module")
def gallery():
    return choose_gallery(DemoSource("test"), 30, 3, 0)


@pytest.fixture(scope="module")
def judged(demo_retrieval, gallery):
    return judge_gallery(demo_retrieval.blip, gallery, 10, 7, Reporter(False))


def test_candidates_are_the_most_similar_and_are_matched(demo_retrieval, gallery, judged):
    model = demo_retrieval.blip
    images = [sample.image() for sample in gallery.samples]
    similarity = model.embed_images(images) @ model.embed_texts(gallery.texts).T
    np.testing.assert_allclose(judged.similarity, similarity, atol=1e-5)
    logits = model.match_logits(images, gallery.texts)[..., 1]
    for reranked, scores, fits in (
        (judged.texts_reranked, similarity, similarity + logits),
        (judged.images_reranked, similarity.T, (similarity + logits).T),
    ):
        assert ((np.isfinite(reranked)).sum(axis=1) == 10).all()
        least = np.sort(scores, axis=1)[:, -10]
        assert (scores[np.isfinite(reranked)] >= np.repeat(least, 10) - 1e-6).all()
        np.testing.assert_allclose(reranked[np.isfinite(reranked)], fits[np.isfinite(reranked)], atol=1e-3)
    for place, claims in enumerate(gallery.claims):
        expected = model.match(images[place], [claim.text for claim in claims]) > 0.5
        np.testing.assert_array_equal(judged.claims[place], expected)


def test_recall_is_what_counting_gives(gallery, judged):
    found = {(row.direction, row.reranked, row.k): row for row in recall_scores(gallery, judged, judged, 0)}
    assert len(found) == 12
    texts, images = len(gallery.texts), len(gallery.samples)
    for k in (1, 5, 10):
        order = np.argsort(-judged.similarity.T, axis=1, kind="stable")[:, :k]
        hits = sum(gallery.owners[text] in order[text] for text in range(texts))
        assert found["text to image", False, k].compressed.value == pytest.approx(hits / texts)
        order = np.argsort(-judged.similarity, axis=1, kind="stable")[:, :k]
        hits = sum(image in gallery.owners[order[image]] for image in range(images))
        assert found["image to text", False, k].compressed.value == pytest.approx(hits / images)
        order = np.argsort(-judged.images_reranked, axis=1, kind="stable")[:, :k]
        hits = sum(gallery.owners[text] in order[text] for text in range(texts))
        assert found["text to image", True, k].compressed.value == pytest.approx(hits / texts)
    for row in found.values():
        assert row.drop.value == row.drop.low == row.drop.high == 0
        assert row.compressed.low <= row.compressed.value <= row.compressed.high


def test_agreement_and_drop_tell_two_models_apart(gallery, judged):
    flipped = tuple(~claims for claims in judged.claims)
    rng = np.random.default_rng(0)
    other = replace(judged, similarity=rng.random(judged.similarity.shape, np.float32), claims=flipped)
    rows = {(row.direction, row.reranked): row for row in first_agreement(gallery, judged, other, 0)}
    assert rows["text to image", False].agreement.value < 0.5
    assert rows["text to image", True].agreement.value == 1
    whole, *kinds = matching_scores(gallery, judged, other, 0)
    assert whole.kind == "all"
    assert whole.claims == sum(map(len, gallery.claims)) == sum(row.claims for row in kinds)
    assert whole.original.value + whole.compressed.value == pytest.approx(1)
    assert whole.drop.value == pytest.approx(whole.original.value - whole.compressed.value)
    assert whole.agreement.value == 0
    alone = matching_scores(gallery, None, judged, 0)[0]
    assert (alone.original, alone.drop, alone.agreement) == (None, None, None)
    assert first_agreement(gallery, None, judged, 0) == ()


@pytest.fixture(scope="module")
def many():
    return choose_gallery(DemoSource("test"), 200, 1, 1)


@pytest.fixture(scope="module")
def judged_in_float32(demo_retrieval, many):
    return judge_gallery(demo_retrieval.blip, many, 10, 16, Reporter(False))


@pytest.mark.slow
@pytest.mark.parametrize("arithmetic", ["simulated", "simulated-int7"])
def test_recall_and_matching_in_8_bits_are_those_of_float32(judged_in_float32, retrieval_int8, many, arithmetic):
    """In both classes of CPU, whatever this one is, within half a point: over all rows of recall, and over all claims.

    A single row of so few images is decided by one of them; the whole gallery is measured by the commands of
    docs/retrieval.md.
    """
    model = BlipRetriever.load(retrieval_int8, options=replace(EXACT, arithmetic=arithmetic), image_cache_bytes=0)
    found = judge_gallery(model, many, 10, 16, Reporter(False))
    rows = recall_scores(many, judged_in_float32, found, 0)
    assert abs(np.mean([row.drop.value for row in rows])) <= HALF_A_POINT
    whole = matching_scores(many, judged_in_float32, found, 0)[0]
    assert whole.claims > 2000
    assert abs(whole.drop.value) <= HALF_A_POINT
    assert whole.agreement.value > 0.98
    first = next(row for row in rows if row.direction == "text to image" and row.reranked and row.k == 1)
    assert first.original.value > 0.9


def test_an_evaluation_is_written_and_read_again(tiny_retriever, tmp_path):
    run = RetrievalRun(tmp_path / "out", batch_size=4, show_progress=False)
    options = RetrievalOptions(images=12, candidates=10)
    found = evaluate_retrieval(tiny_retriever.bundle, "demo:test", options, run, beside_original=False)
    content = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert RetrievalEvaluation.from_json(content) == found
    assert found.original is None
    assert found.names == ("FP16",)
    assert found.data.images == found.data.texts == 12


def test_a_bundle_that_generates_has_no_recall(tiny_vqa):
    with pytest.raises(InputError, match="it has no recall to measure"):
        evaluate_retrieval(tiny_vqa.bundle, "demo:test", run=QUIET)


@pytest.mark.parametrize(
    ("field", "value"), [("images", 1), ("texts", 0), ("candidates", 9), ("arithmetic", "int3"), ("device", "")]
)
def test_options_are_checked(field, value):
    with pytest.raises(InputError, match=field):
        RetrievalOptions(**{field: value})


def test_what_is_judged_is_not_kept(demo_retrieval, gallery):
    """An evaluation's model keeps no images; features come and go."""
    model = BlipRetriever.load(demo_retrieval.bundle, options=EXACT, image_cache_bytes=0)
    judge_gallery(
        model, replace(gallery, samples=gallery.samples[:4], claims=gallery.claims[:4]), 10, 2, Reporter(False)
    )
    assert model.extractor.cache.nbytes == 0
