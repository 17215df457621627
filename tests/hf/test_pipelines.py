"""The tasks of transformers 4: what they take, and the structure of what they return."""

import base64
import io

import pytest
from checkpoint.loopback_hub import LoopbackHub, serve
from PIL import Image

from blipvino import InputError
from blipvino.hf import pipeline


@pytest.fixture(scope="module")
def files(pictures, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for index, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / f"{index}.png")
    return [str(folder / f"{index}.png") for index in range(len(pictures))]


@pytest.fixture(scope="module")
def captioner(captioner_model):
    return pipeline("image-to-text", model=captioner_model)


@pytest.fixture(scope="module")
def oracle(answerer_model):
    return pipeline("visual-question-answering", answerer_model)


def test_images_in_every_form_have_one_caption(captioner, captioner_model, files):
    image = Image.open(files[0])
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    with serve(LoopbackHub({"me/pictures": {"main": __import__("pathlib").Path(files[0]).parent}})) as hub:
        given = [image, files[0], base64.b64encode(buffer.getvalue()).decode()]
        given.append(f"{hub.url}/me/pictures/resolve/main/0.png")
        found = [captioner(each, timeout=10) for each in given]
    text = captioner_model.blip.caption(files[0])
    assert found == [[{"generated_text": text}]] * 4
    assert captioner([]) == []
    assert captioner(given[:2]) == captioner(images=given[:2]) == found[:2]


def test_batches_generators_prompts_and_options(captioner, captioner_model, files):
    texts = captioner_model.blip.caption(files)
    expected = [[{"generated_text": text}] for text in texts]
    assert captioner(files, batch_size=3) == expected
    assert list(captioner(name for name in files)) == expected
    prompted = captioner_model.blip.caption(files[0], "there is", max_new_tokens=3)
    assert captioner(files[0], prompt="there is", max_new_tokens=3) == [{"generated_text": prompted}]
    several = captioner(files[:2], generate_kwargs={"num_beams": 3, "num_return_sequences": 2}, batch_size=2)
    assert [len(each) for each in several] == [2, 2] and several[0][0] == expected[0][0]


def test_questions_in_every_form_have_answers_with_scores(oracle, answerer_model, files, asked):
    answers = [answerer_model.blip.answer(*pair) for pair in zip(files, asked, strict=True)]
    (first,) = oracle(files[0], asked[0])
    assert first["answer"] == answers[0] and 0 < first["score"] <= 1 and list(first) == ["score", "answer"]
    assert oracle(image=files[0], question=asked[0], top_k=1) == [first]
    assert oracle({"image": files[0], "question": asked[0]}) == [first]
    pairs = [{"image": image, "question": question} for image, question in zip(files, asked, strict=True)]
    for found in (oracle(pairs), oracle(files, asked), list(oracle(each for each in pairs))):
        assert [each[0]["answer"] for each in found] == answers
    assert len(oracle(pairs, batch_size=2)) == 4
    assert [each[0]["answer"] for each in oracle(files, asked[0])] == answerer_model.blip.answer(files, asked[0])
    assert [each[0]["answer"] for each in oracle(files[0], asked)] == answerer_model.blip.answer(files[0], asked)


def test_top_k_answers_differ_and_come_likeliest_first(oracle, files, asked):
    found = oracle(files[0], asked[0], top_k=4)
    assert len({each["answer"] for each in found}) == len(found) > 1
    assert [each["score"] for each in found] == sorted((each["score"] for each in found), reverse=True)
    assert sum(each["score"] for each in found) <= 1.001


def test_a_model_is_loaded_by_its_name_and_says_its_task(demo, files):
    settings = {"ov_config": {"INFERENCE_PRECISION_HINT": "f32"}, "compile": False}
    made = pipeline(model=demo.bundle, task="vqa", device="auto", model_kwargs=settings, dtype="auto")
    assert made.task == "visual-question-answering"
    assert pipeline(model=made.model).task == "visual-question-answering"
    assert made.tokenizer is not None and made.image_processor is not None


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda c, o: pipeline("text-generation", c.model), "task is 'text-generation', expected one of image-to-text"),
        (lambda c, o: pipeline("vqa", c.model), "vqa needs a OVBlipForQuestionAnswering, found a OVBlipForConditional"),
        (lambda c, o: pipeline(model="demo"), "no task is named"),
        (lambda c, o: c(), "needs an image"),
        (lambda c, o: c("x.png", prompt=3), "prompt is an int"),
        (lambda c, o: c("x.png", max_new_tokens=3, generate_kwargs={"max_new_tokens": 3}), "given twice"),
        (lambda c, o: o(), "needs an image and a question"),
        (lambda c, o: o("x.png"), "expected {"),
        (lambda c, o: o(["a", "b"], ["x", "y", "z"]), "2 images but 3 questions"),
        (lambda c, o: o("x.png", "what?", top_k=0), "top_k is 0"),
        (lambda c, o: o({"image": "x.png", "question": 3}), "a question is an int"),
    ],
)
def test_what_is_wrong_is_one_line(captioner, oracle, call, says):
    with pytest.raises(InputError) as refusal:
        call(captioner, oracle)
    assert says in str(refusal.value) and "\n" not in str(refusal.value)
