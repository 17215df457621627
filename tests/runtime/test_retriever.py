"""`BlipRetriever`: shapes and orders of what it returns, what it refuses, and that it may be shared."""

import threading
from dataclasses import replace

import numpy as np
import pytest
from subjects import EXACT, scene_image, with_empty_cache

from blipvino import Blip, BlipRetriever, ImageError, InputError, optimize
from blipvino.checkpoint.architectures import RETRIEVAL
from blipvino.demo.captions import caption
from blipvino.demo.scenes import sample_scene
from blipvino.graphs.specs import graph_names
from blipvino.optimization.optimize import CalibrationOptions
from blipvino.runtime.compiling.bundled import run_selftest

TEXTS = (
    "ring",
    "a small striped red circle to the left of a large dotted green star and a tiny blue cross, and more of that",
    "a red circle",
    "the star is above the ring",
    "ring",
)


@pytest.fixture(scope="module")
def images():
    return [scene_image(index) for index in range(5)]


def test_embeddings_have_the_shape_of_what_is_given_and_length_1(retriever, images):
    model, width = retriever.blip, retriever.blip.config.image_text_hidden_size
    of_images, of_texts = model.embed_images(images, batch_size=2), model.embed_texts(TEXTS, batch_size=2)
    assert of_images.shape == (5, width)
    assert of_texts.shape == (5, width)
    for rows in (of_images, of_texts):
        assert rows.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(model.embed_images(images[1]), of_images[1], atol=1e-5)
    np.testing.assert_allclose(model.embed_texts(TEXTS[2]), of_texts[2], atol=1e-5)
    assert model.embed_images([]).shape == model.embed_texts([]).shape == (0, width)


def test_an_embedding_does_not_depend_on_its_batch(retriever, images):
    model = retriever.exact
    alone = np.stack([model.embed_texts(text) for text in TEXTS])
    for size in (1, 3, 32):
        np.testing.assert_allclose(model.embed_texts(TEXTS, batch_size=size), alone, atol=2e-6)
        np.testing.assert_allclose(
            model.embed_images(images, batch_size=size), model.embed_images(images, batch_size=2), atol=2e-6
        )


def test_a_stream_gives_the_same_batch_by_batch(retriever, images):
    model = retriever.blip
    batches = list(model.image_embed_stream(iter(images), batch_size=2))
    assert [len(batch) for batch in batches] == [2, 2, 1]
    np.testing.assert_allclose(np.concatenate(batches), model.embed_images(images), atol=1e-6)


def test_a_stream_raises_at_the_image_that_cannot_be_read(tiny_retriever, images):
    stream = tiny_retriever.blip.image_embed_stream([images[0], b"no image", images[1]], batch_size=1)
    assert next(stream).shape[0] == 1
    with pytest.raises(ImageError, match="8 bytes"):
        next(stream)


def test_matches_have_the_shape_of_what_is_given(retriever, images):
    model = retriever.blip
    all_of_it = model.match(images, TEXTS, batch_size=2)
    assert all_of_it.shape == (5, 5)
    assert all_of_it.dtype == np.float32
    assert ((all_of_it >= 0) & (all_of_it <= 1)).all()
    np.testing.assert_allclose(model.match(images[3], TEXTS), all_of_it[3], atol=1e-4)
    np.testing.assert_allclose(model.match(images, TEXTS[1]), all_of_it[:, 1], atol=1e-4)
    assert model.match(images[3], TEXTS[1]) == pytest.approx(all_of_it[3, 1], abs=1e-4)
    assert model.match(images[0], []).shape == (0,)
    assert model.match([], TEXTS).shape == (0, 5)
    np.testing.assert_array_equal(all_of_it[:, 0], all_of_it[:, 4])  # the same text


def test_a_probability_is_the_softmax_of_the_logits(retriever, images):
    logits = retriever.blip.match_logits(images, TEXTS).astype(np.float64)
    expected = np.exp(logits[..., 1]) / np.exp(logits).sum(axis=-1)
    np.testing.assert_allclose(retriever.blip.match(images, TEXTS), expected, atol=1e-6)


def test_the_demo_finds_and_matches_what_belongs_together(demo_retrieval):
    scenes = [sample_scene("test", index) for index in range(12)]
    pictures, texts = [scene_image(index) for index in range(12)], [caption(scene) for scene in scenes]
    assert len(set(texts)) == 12
    model = demo_retrieval.blip
    found = (model.embed_texts(texts) @ model.embed_images(pictures).T).argmax(axis=1)
    assert (found == np.arange(12)).mean() > 0.7
    judged = model.match(pictures, texts) > 0.5
    assert judged.diagonal().mean() > 0.9
    assert judged[~np.eye(12, dtype=bool)].mean() < 0.1


def test_features_stand_for_an_image_and_keep_what_texts_read(tiny_retriever, images, monkeypatch):
    model = with_empty_cache(tiny_retriever)
    projected = []
    original = model.engine.match_kv
    monkeypatch.setattr(model.engine, "match_kv", lambda embeds: projected.append(1) or original(embeds))
    features = model.features(images[:2])
    bare = features[0].nbytes
    found = model.match(features, TEXTS)
    assert features[0].nbytes > bare
    np.testing.assert_array_equal(model.match(features[1], TEXTS), found[1])
    np.testing.assert_array_equal(model.embed_images(features), model.embed_images(images[:2]))
    assert len(projected) == 2


def test_an_image_that_was_seen_is_not_looked_at_again(tiny_retriever, images, monkeypatch):
    model = with_empty_cache(tiny_retriever, 2**24)
    seen = []
    original = model.engine.image_embeds
    monkeypatch.setattr(model.engine, "image_embeds", lambda pixels: seen.append(len(pixels)) or original(pixels))
    model.embed_images(images)
    model.match(images, "ring")
    assert sum(seen) == 5


def test_threads_share_a_retriever(retriever, images):
    model = retriever.blip
    expected = model.embed_images(images), model.embed_texts(TEXTS), model.match(images, TEXTS)
    failures = []

    def use(number):
        for _ in range(3):
            found = model.embed_images(images), model.embed_texts(TEXTS), model.match(images, TEXTS)
            pairs = zip(found, expected, strict=True)
            if not all(np.allclose(one, other, atol=1e-4) for one, other in pairs):
                failures.append(number)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.parametrize("text", ["", " ", 5, None, "\ud800", "ring " * 100])
def test_a_text_that_cannot_be_read_is_refused(tiny_retriever, images, text):
    for call in (tiny_retriever.blip.embed_texts, lambda texts: tiny_retriever.blip.match(images[0], texts)):
        with pytest.raises(InputError, match="text"):
            call([text])


@pytest.mark.parametrize("size", [0, -1, 1.5, "8", True, None])
def test_batch_sizes_are_checked(tiny_retriever, images, size):
    model = tiny_retriever.blip
    calls = (
        lambda: model.embed_images(images, batch_size=size),
        lambda: model.image_embed_stream(images, batch_size=size),
        lambda: model.embed_texts(TEXTS, batch_size=size),
        lambda: model.match(images, TEXTS, batch_size=size),
    )
    for call in calls:
        with pytest.raises(InputError, match="batch_size"):
            call()


def test_features_of_another_bundle_are_refused(tiny_retriever, demo_retrieval, images):
    features = demo_retrieval.blip.features(images[0])
    for call in (tiny_retriever.blip.embed_images, lambda image: tiny_retriever.blip.match(image, "ring")):
        with pytest.raises(InputError, match="another bundle"):
            call(features)


def test_each_class_names_the_other_for_bundles_that_are_not_its(tiny_retriever, tiny_vqa, tiny_captioner):
    with pytest.raises(InputError, match=r"load it with BlipRetriever\.load\(\)"):
        Blip.load(tiny_retriever.bundle)
    for other in (tiny_vqa, tiny_captioner):
        with pytest.raises(InputError, match=r"load it with Blip\.load\(\)"):
            BlipRetriever.load(other.bundle)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["minmax", "int8-int4"])
def test_a_compressed_bundle_passes_its_self_test(tiny_retriever, tmp_path, recipe):
    calibration = CalibrationOptions("demo", 4)
    checkpoint = tiny_retriever.folder
    bundle = optimize(checkpoint, tmp_path / "b", recipe=recipe, calibration=calibration, show_progress=False)
    report = run_selftest(bundle, EXACT)
    assert report.passed
    assert tuple(verdict.graph for verdict in report.verdicts) == graph_names(RETRIEVAL)


@pytest.mark.parametrize("arithmetic", ["simulated", "simulated-int7", "float"])
def test_the_demo_in_8_bits_is_near_the_original(demo_retrieval, retrieval_int8, images, arithmetic):
    model = BlipRetriever.load(retrieval_int8, options=replace(EXACT, arithmetic=arithmetic))
    original, texts = demo_retrieval.blip, [*TEXTS, *(caption(sample_scene("test", index)) for index in range(5))]
    for made, expected in (
        (model.embed_images(images), original.embed_images(images)),
        (model.embed_texts(texts), original.embed_texts(texts)),
    ):
        assert (made * expected).sum(axis=1).mean() > 0.99
    assert np.abs(model.match(images, texts) - original.match(images, texts)).mean() < 0.05


def test_a_search_for_a_recipe_is_refused_before_work(tiny_retriever, tmp_path):
    with pytest.raises(InputError, match=r"a search compares captions and answers.*int8, int8-int4, minmax, none"):
        optimize(tiny_retriever.folder, tmp_path / "bundle", recipe="auto", show_progress=False)
    assert not (tmp_path / "bundle").exists()
