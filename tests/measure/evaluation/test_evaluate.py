"""Running an evaluation: what is asked, and what is kept of an interrupted run."""

import json

import numpy as np
import pytest
from evaluation_subjects import OPTIONS, estimates, lines, quiet
from subjects import EXACT

from blipvino import Blip
from blipvino.data import open_source
from blipvino.data.demo import demo_sample
from blipvino.errors import BundleError, ImageError, InputError, OutputError
from blipvino.measure.evaluation.evaluate import evaluate_bundle, evaluate_results
from blipvino.measure.evaluation.evaluation import EvaluateOptions
from blipvino.measure.evaluation.result_files import read_results
from blipvino.measure.evaluation.selection import select
from blipvino.metrics.caption_metrics import caption_scores
from blipvino.metrics.tokenization import tokenize_caption


def test_both_models_say_what_they_say_one_at_a_time(done, demo, int8):
    evaluation, folder = done
    assignments = select(open_source("demo:test"), 30, 6, 42)
    for role, bundle in (("original", demo.bundle), ("compressed", int8)):
        blip = Blip.load(bundle, options=EXACT)
        answers = read_results(folder / f"answers-{role}.json").answers
        captions = read_results(folder / f"captions-{role}.json").captions
        for one in assignments:
            image = one.sample.image()
            for question in one.sample.questions:
                assert answers[question.question_id] == blip.answer(image, question.text, max_new_tokens=32)
            if one.captioned:
                assert captions[one.sample.image_id] == blip.caption(image, max_new_tokens=32)
    assert (len(answers), len(captions)) == (30, 6)
    assert evaluation.data.questions == 30 and evaluation.data.captioned == 6


def test_figures_are_those_of_the_result_files(done):
    evaluation, folder = done
    truth = {q.question_id: q for one in select(open_source("demo:test"), 30, 6, 42) for q in one.sample.questions}
    said = [read_results(folder / f"answers-{role}.json").answers for role in ("original", "compressed")]
    right = [np.mean([answers[key] == question.answers[0] for key, question in truth.items()]) for answers in said]
    whole = evaluation.answers[0]
    assert (whole.kind, whole.name, whole.questions) == ("all", "all", 30)
    assert (whole.original.value, whole.compressed.value) == pytest.approx(right)
    assert whole.drop.value == pytest.approx(right[0] - right[1])
    assert whole.agreement.value == pytest.approx(np.mean([said[0][key] == said[1][key] for key in truth]))
    for row in evaluation.answers:
        for one in (row.original, row.compressed, row.agreement):
            assert 0 <= one.low <= one.value <= one.high <= 1
    kinds = [row.kind for row in evaluation.answers]
    assert kinds == sorted(kinds, key=["all", "answer type", "question type"].index)
    for kind in ("answer type", "question type"):
        assert sum(row.questions for row in evaluation.answers if row.kind == kind) == 30

    captions = read_results(folder / "captions-compressed.json").captions
    samples = [demo_sample("test", index) for index in captions]
    expected = caption_scores(
        [tokenize_caption(captions[sample.image_id]) for sample in samples],
        [[tokenize_caption(text) for text in sample.captions] for sample in samples],
    )
    assert {row.metric: row.compressed.value for row in evaluation.captions} == pytest.approx(expected)
    assert all(
        row.drop.value == pytest.approx(row.original.value - row.compressed.value) for row in evaluation.captions
    )


def test_an_interrupted_run_goes_on_where_it_was(done, demo, int8, tmp_path):
    evaluation, folder = done
    path = tmp_path / "predictions-compressed.jsonl"
    whole = lines(folder / path.name)
    kept = json.loads(whole[1])
    kept["caption"] = "remembered"
    start = whole[0] + json.dumps(kept).encode() + b"\n" + whole[2]
    path.write_bytes(start + whole[3][:25])  # broken off within a line
    again = evaluate_bundle(int8, "demo:test", OPTIONS, quiet(tmp_path), original=demo.bundle)
    assert path.read_bytes() == start + b"".join(whole[3:])
    assert estimates(again) == estimates(evaluation)
    assert read_results(tmp_path / "captions-compressed.json").captions[kept["image_id"]] == "remembered"
    forgotten = evaluate_bundle(int8, "demo:test", OPTIONS, quiet(tmp_path, restart=True), original=demo.bundle)
    assert lines(path) == whole
    assert forgotten.captions == evaluation.captions


def test_what_was_said_before_a_bad_image_is_kept(demo, tmp_path):
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    for index in range(5):
        demo_sample("test", index).image().save(data / f"{index}.png")
    last = [one.sample.image_id for one in select(open_source(str(data)), 0, 5, 42)][-1]
    good = (data / last).read_bytes()
    (data / last).write_bytes(good[:200])
    options = EvaluateOptions(samples=0, captions=5)
    with pytest.raises(ImageError, match=last):
        evaluate_bundle(demo.bundle, str(data), options, quiet(out), beside_original=False)
    before = lines(out / "predictions-compressed.jsonl")
    assert len(before) == 1 + 4
    (data / last).write_bytes(good)
    evaluation = evaluate_bundle(demo.bundle, str(data), options, quiet(out), beside_original=False)
    assert lines(out / "predictions-compressed.jsonl")[:5] == before
    assert evaluation.captions == () and evaluation.caption_agreement is None
    assert last in json.loads((out / "captions-compressed.json").read_text())[-1]["image_id"]


def test_the_original_must_have_the_same_weights(int8, tiny_vqa):
    with pytest.raises(BundleError, match="weights differ"):
        evaluate_bundle(int8, "demo:test", EvaluateOptions(2, 0), quiet(), original=tiny_vqa.bundle)


def test_result_files_are_scored_as_the_bundle_is(done):
    evaluation, folder = done
    files = [folder / "answers-compressed.json", folder / "captions-compressed.json"]
    scored = evaluate_results(files, "demo:test")
    assert {row.name: row.compressed for row in scored.answers}["all"].value == pytest.approx(
        evaluation.answers[0].compressed.value
    )
    assert [row.compressed.value for row in scored.captions] == pytest.approx(
        [row.compressed.value for row in evaluation.captions]
    )
    assert scored.original is None and scored.options is None and scored.names == ("result files",)
    assert evaluate_results(files[:1], "demo:test").names == ("answers-compressed",)
    with pytest.raises(InputError, match="several"):
        evaluate_results([files[0], files[0]], "demo:test")


def test_a_captioner_captions_only(tiny_captioner):
    options = EvaluateOptions(samples=8, captions=3, max_new_tokens=4)
    evaluation = evaluate_bundle(tiny_captioner.bundle, "demo:test", options, quiet(), beside_original=False)
    assert evaluation.answers == () and evaluation.data.questions == 0
    assert [row.metric for row in evaluation.captions][-1] == "CIDEr-D"
    with pytest.raises(InputError, match="captions only"):
        evaluate_bundle(tiny_captioner.bundle, "demo:test", EvaluateOptions(captions=0), quiet())


def test_answers_are_chosen_from_a_list(demo, tmp_path):
    path, out = tmp_path / "answers.txt", tmp_path / "out"
    path.write_text("yes\nno\n\n2\nred\nyes\nsmall\n")
    options = EvaluateOptions(16, 0, answers=str(path), top_k=None, precision="f32")
    evaluation = evaluate_bundle(demo.bundle, "demo:test", options, quiet(out), beside_original=False)
    assert evaluation.answering == "ranked among 5 of answers.txt, all"
    said = read_results(out / "answers-compressed.json").answers.values()
    assert set(said) <= {"yes", "no", "2", "red", "small"}
    assert evaluation.answers[0].compressed.value > 0.2
    path.write_text("yes\nno\n")
    with pytest.raises(OutputError, match=r"answers .* there, .* here"):
        evaluate_bundle(demo.bundle, "demo:test", options, quiet(out), beside_original=False)
