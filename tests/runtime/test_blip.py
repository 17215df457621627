"""`Blip` as its users call it: forms of results, refusals, threads, copies, and what it must not import."""

import copy
import os
import pickle
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from subjects import EXACT, QUESTIONS, scene_image, scene_questions

from blipvino import (
    Blip,
    GenerationOptions,
    ImageError,
    InputError,
)

SHORT = {"max_new_tokens": 8}


# Forms of results


def test_one_question_of_one_image_is_one_text(answerer):
    image, text = scene_image(0), QUESTIONS[2]
    answer = answerer.blip.answer(image, text, **SHORT)
    assert isinstance(answer, str)
    assert answerer.blip.answer([image], text, **SHORT) == [answer]
    assert answerer.blip.answer(image, [text], **SHORT) == [answer]
    assert answerer.blip.answer((image,), (text,), **SHORT) == [answer]


def test_several_questions_of_one_image(answerer):
    image = scene_image(0)
    expected = [answerer.blip.answer(image, text, **SHORT) for text in QUESTIONS]
    assert answerer.blip.answer(image, QUESTIONS, **SHORT) == expected
    assert answerer.blip.answer([image] * len(QUESTIONS), QUESTIONS, **SHORT) == expected


def test_one_question_of_several_images(answerer):
    images = [scene_image(index) for index in range(3)]
    expected = [answerer.blip.answer(image, QUESTIONS[2], **SHORT) for image in images]
    assert answerer.blip.answer(images, QUESTIONS[2], **SHORT) == expected
    assert answerer.blip.answer(images, [QUESTIONS[2]] * 3, **SHORT) == expected


def test_captions_of_one_image_and_of_several(subject):
    images = [scene_image(index) for index in range(3)]
    captions = [subject.blip.caption(image, **SHORT) for image in images]
    assert all(isinstance(caption, str) for caption in captions)
    assert subject.blip.caption(images, **SHORT) == captions
    assert subject.blip.caption(tuple(images), **SHORT) == captions
    assert subject.blip.caption([images[1]], **SHORT) == [captions[1]]


def test_prompted_captions_begin_with_their_prompt(subject):
    for caption in subject.blip.caption([scene_image(0), scene_image(1)], "a large red", **SHORT):
        assert caption.startswith("a large red")


# Refusals


@pytest.mark.parametrize("text", ["", "   ", "\n"])
def test_blank_questions_and_prompts_are_refused(answerer, text):
    for given_ in (text, ["red?", text]):
        with pytest.raises(InputError, match="question is empty"):
            answerer.blip.answer(scene_image(0), given_)
    with pytest.raises(InputError, match="prompt is empty"):
        answerer.blip.caption(scene_image(0), text)


@pytest.mark.parametrize("question", [7, None, [None], ["red?", 7], [b"red?"], b"red?", [["red?"]]])
def test_questions_that_are_no_text_are_refused(answerer, question):
    with pytest.raises(InputError, match="question"):
        answerer.blip.answer(scene_image(0), question)


@pytest.mark.parametrize("prompt", [7, b"a dog", ["a dog"]])
def test_prompts_that_are_no_text_are_refused(answerer, prompt):
    with pytest.raises(InputError, match="prompt must be text"):
        answerer.blip.caption(scene_image(0), prompt)


def test_question_of_ten_thousand_characters(answerer):
    many_words = ("what color is it " * 600)[:10_000]
    with pytest.raises(InputError, match=r"question 'what color.* tokens"):
        answerer.blip.answer(scene_image(0), many_words)
    one_word = "a" * 10_000  # a word too long to spell is one unknown token
    assert isinstance(answerer.blip.answer(scene_image(0), one_word, **SHORT), str)


def test_texts_longer_than_the_model_has_positions_are_refused(subject):
    limit = subject.blip.config.text.max_position_embeddings
    image = scene_image(0)
    with pytest.raises(InputError, match=f"{limit} positions"):
        subject.blip.caption(image, max_new_tokens=limit)
    with pytest.raises(InputError, match=f"{limit} positions"):
        subject.blip.caption(image, "a red circle", max_new_tokens=limit - 3)
    assert isinstance(subject.blip.caption(image, max_new_tokens=limit - 1, min_new_tokens=limit - 1), str)


def test_long_answers_are_refused(answerer):
    limit = answerer.blip.config.text.max_position_embeddings
    with pytest.raises(InputError, match=f"{limit} positions"):
        answerer.blip.answer(scene_image(0), "red?", max_new_tokens=limit)


def test_bad_options_are_refused_before_any_work(subject):
    missing = "no such image.jpg"
    for options, name in (
        ({"max_new_token": 3}, "max_new_token"),
        ({"temprature": 3}, "temprature"),
        ({"num_beams": 0}, "num_beams"),
        ({"num_beams": 2, "do_sample": True}, "num_beams"),
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": -1}, "batch_size"),
        ({"batch_size": 1.5}, "batch_size"),
        ({"batch_size": "8"}, "batch_size"),
    ):
        with pytest.raises(InputError, match=name):
            subject.blip.caption(missing, **options)
        if subject.blip.config.answers_questions:
            with pytest.raises(InputError, match=name):
                subject.blip.answer(missing, "red?", **options)


def test_bad_images_are_refused_by_name(answerer):
    image = scene_image(0)
    for given_ in ("missing.jpg", [image, "missing.jpg"]):
        with pytest.raises(ImageError, match=r"missing\.jpg"):
            answerer.blip.caption(given_)
        with pytest.raises(ImageError, match=r"missing\.jpg"):
            answerer.blip.answer(given_, "red?")
    assert isinstance(answerer.blip.caption(image, **SHORT), str)  # and the model works on


def test_a_captioning_bundle_answers_nothing(tiny_captioner):
    with pytest.raises(InputError, match="captions only"):
        tiny_captioner.blip.answer(scene_image(0), "red?")


def test_a_refused_call_leaves_the_model_usable(tiny_vqa):
    expected = tiny_vqa.blip.answer(scene_image(0), QUESTIONS, **SHORT)
    with pytest.raises(ImageError):
        tiny_vqa.blip.answer([scene_image(0), b"no image"], QUESTIONS[:2], **SHORT)
    assert tiny_vqa.blip.answer(scene_image(0), QUESTIONS, **SHORT) == expected


@pytest.mark.parametrize("bundle", [None, 123, b"bundle", ["bundle"], "", "a\0b", True])
def test_what_is_no_path_is_no_bundle(bundle):
    with pytest.raises(InputError, match=r"bundle is .*path"):
        Blip.load(bundle)


@pytest.mark.parametrize("value", [None, -1, 1.5, "1", True])
def test_image_cache_bytes_are_checked(demo, value):
    with pytest.raises(InputError, match=r"image_cache_bytes is .*expected"):
        Blip.load(demo.bundle, image_cache_bytes=value)


@pytest.mark.parametrize("value", ["f32", {"precision": "f32"}, 1, GenerationOptions()])
def test_options_are_engine_options(demo, value):
    with pytest.raises(InputError, match=r"options are .*expected EngineOptions"):
        Blip.load(demo.bundle, options=value)


# Threads, copies, processes


def test_threads_agree_with_one_after_the_other(tiny_vqa):
    blip = tiny_vqa.blip
    images = [scene_image(index) for index in range(4)]

    def work(number):
        if number % 2:
            return blip.caption(images[number % 4], max_new_tokens=10, num_beams=1 + number % 3)
        return blip.answer(images[number % 4], scene_questions(number % 4)[: 1 + number % 5], **SHORT)

    expected = [work(number) for number in range(24)]
    assert len({str(result) for result in expected}) > 8
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(work, range(24))) == expected


def test_a_copied_bundle_is_the_same_bit_for_bit(subject, tmp_path):
    copy = tmp_path / "elsewhere"
    shutil.copytree(subject.bundle, copy)
    fresh = Blip.load(copy, options=EXACT)
    images = [scene_image(index) for index in range(2)]
    embeds, again = (blip.engine.image_embeds(blip.images.pixels(images)) for blip in (subject.blip, fresh))
    np.testing.assert_array_equal(again, embeds)
    cross, cross_again = (blip.engine.answer_kv(embeds).tensors for blip in (subject.blip, fresh))
    assert cross.keys() == cross_again.keys()
    for name, tensor in cross.items():
        np.testing.assert_array_equal(cross_again[name], tensor)
    assert fresh.caption(images, **SHORT) == subject.blip.caption(images, **SHORT)
    if subject.blip.config.answers_questions:
        assert fresh.answer(images[0], QUESTIONS, **SHORT) == subject.blip.answer(images[0], QUESTIONS, **SHORT)


def test_a_model_is_not_pickled_but_its_bundle_named(demo):
    for refused in (pickle.dumps, copy.deepcopy):
        with pytest.raises(InputError, match=f"{demo.bundle}.*Blip.load"):
            refused(demo.blip)
    assert copy.copy(demo.blip).caption(scene_image(0)) == demo.blip.caption(scene_image(0))


RUN = """
import sys
import numpy as np
from blipvino import Blip
blip = Blip.load(sys.argv[1])
image = np.zeros((20, 20, 3), np.uint8)
assert isinstance(blip.caption(image, max_new_tokens=3), str)
assert isinstance(blip.answer(image, "red?", max_new_tokens=3), str)
found = sorted(sys.modules.keys() & {"torch", "transformers", "nncf", "datasets"})
sys.exit(f"imported: {found}" if found else 0)
"""
OPTIMIZE = """
import sys
sys.modules.update(dict.fromkeys(["torch", "transformers", "datasets"]))  # None: as if not installed
from blipvino import optimize
optimize(sys.argv[1], sys.argv[2], recipe="none", show_progress=False)
"""


def run_python(script, *arguments):
    """Run a script in a process of its own; returns what it wrote to standard error if it failed."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    return done.stderr if done.returncode else ""


def test_running_imports_no_optimizer_and_no_torch(tiny_vqa):
    assert run_python(RUN, tiny_vqa.bundle) == ""


def test_optimizing_needs_no_torch(tiny_vqa, tmp_path):
    """NNCF imports torch wherever it is installed, so here it is not."""
    assert run_python(OPTIMIZE, tiny_vqa.folder, tmp_path / "bundle") == ""
    assert (tmp_path / "bundle" / "manifest.json").is_file()
