"""Evaluations: what is asked, what is kept of an interrupted run, what is scored, and what is told of it."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from subjects import EXACT

from blipvino import Blip, optimize
from blipvino.cli.main import main
from blipvino.data import Question, Sample, open_source, read_answers
from blipvino.data.demo import demo_sample
from blipvino.demo import CHECKPOINT
from blipvino.errors import BundleError, DataError, ImageError, InputError, OutputError
from blipvino.measure.evaluation.evaluate import RunOptions, evaluate_bundle, evaluate_results
from blipvino.measure.evaluation.evaluation import EvaluateOptions, read_evaluation
from blipvino.measure.evaluation.result_files import Texts, read_results, write_results
from blipvino.measure.evaluation.scoring import answer_examples, caption_examples, score_answers, score_captions
from blipvino.measure.evaluation.selection import Assignment, digest, select, select_known
from blipvino.measure.report.evaluation_tables import evaluation_tables, interval
from blipvino.metrics.bootstrap import Estimate
from blipvino.metrics.caption_metrics import caption_scores
from blipvino.metrics.tokenization import tokenize_caption
from blipvino.optimization.optimize import CalibrationOptions

OPTIONS = EvaluateOptions(samples=30, captions=6, max_new_tokens=32, precision="f32")


def quiet(folder=None, **options):
    return RunOptions(folder, batch_size=2, show_progress=False, **options)


@pytest.fixture(scope="module")
def int8(tmp_path_factory):
    """The demo checkpoint in 8 bits."""
    folder = tmp_path_factory.mktemp("evaluation") / "int8"
    calibration = CalibrationOptions(samples=30)
    return optimize(CHECKPOINT, folder, recipe="int8-int4", calibration=calibration, show_progress=False).folder


@pytest.fixture(scope="module")
def done(demo, int8, tmp_path_factory):
    """An evaluation, and its folder."""
    folder = tmp_path_factory.mktemp("done")
    return evaluate_bundle(int8, "demo:test", OPTIONS, quiet(folder), original=demo.bundle), folder


def lines(path):
    return path.read_bytes().splitlines(keepends=True)


def estimates(evaluation):
    return {row.name: (row.original, row.compressed, row.drop, row.agreement) for row in evaluation.answers}


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


def test_json_comes_back_whole(done, tmp_path):
    evaluation, folder = done
    assert read_evaluation(folder) == evaluation
    content = json.loads((folder / "evaluation.json").read_text())
    assert content["options"]["seed"] == 42 and content["machine"]["cores"] >= 1
    assert content["compressed"]["fingerprint"] != content["original"]["fingerprint"]
    del content["answers"]
    (tmp_path / "evaluation.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match="answers"):
        read_evaluation(tmp_path)


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


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"seed": 7}, "seed 42 there, 7 here"),
        ({"samples": 31}, "samples 30 there, 31 here"),
        ({"max_new_tokens": 8}, "max_new_tokens 32 there, 8 here"),
        ({"precision": "auto"}, "precision f32 there, auto here"),
    ],
)
def test_predictions_made_otherwise_are_refused(done, int8, changed, says):
    _, folder = done
    before = (folder / "predictions-compressed.jsonl").read_bytes()
    with pytest.raises(OutputError, match=says) as error:
        evaluate_bundle(int8, "demo:test", replace(OPTIONS, **changed), quiet(folder), beside_original=False)
    assert "--restart" in str(error.value)
    assert (folder / "predictions-compressed.jsonl").read_bytes() == before


def test_predictions_of_another_bundle_or_of_other_samples_are_refused(done, demo):
    _, folder = done
    with pytest.raises(OutputError, match=r"model .* there, .* here"):
        evaluate_bundle(demo.bundle, "demo:test", OPTIONS, quiet(folder), beside_original=False)
    with pytest.raises(OutputError, match="data demo:test there, demo:validation here, selection"):
        evaluate_bundle(done[0].compressed.place, "demo:validation", OPTIONS, quiet(folder), beside_original=False)


def test_a_spoilt_file_of_predictions_is_named_by_its_line(done, int8, tmp_path):
    whole = lines(done[1] / "predictions-compressed.jsonl")
    path = tmp_path / "predictions-compressed.jsonl"
    path.write_bytes(whole[0] + b"{]\n" + whole[2])
    with pytest.raises(DataError, match=r"predictions-compressed\.jsonl:2"):
        evaluate_bundle(int8, "demo:test", OPTIONS, quiet(tmp_path), beside_original=False)


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


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{}", "expected a JSON list"),
        ("[]", "empty"),
        ('[{"question_id": "1", "answer": "x"}]', "question_id"),
        ('[{"question_id": 1, "answer": "x"}, {"question_id": 1, "answer": "y"}]', "twice"),
        ('[{"question_id": 1, "answer": 2}]', r"\[0\].*answer"),
        ('[{"image_id": 1}]', "caption"),
        ('[{"question_id": 77777000, "answer": "x"}]', "no question 77777000"),
        ('[{"image_id": 77777, "caption": "x"}]', "no image 77777"),
    ],
)
def test_bad_result_files_are_refused(tmp_path, monkeypatch, content, says):
    monkeypatch.setattr("blipvino.data.demo.SCENES", 50)
    path = tmp_path / "results.json"
    path.write_text(content)
    with pytest.raises(DataError, match=says):
        evaluate_results([path], "demo:test")


def test_result_files_have_the_official_formats(tmp_path):
    texts = Texts({3: "yes", 5: "zwölf"}, {7: "a cat", "b/c.png": "a dog"})
    write_results(texts, tmp_path, "x")
    assert json.loads((tmp_path / "answers-x.json").read_text()) == [
        {"question_id": 3, "answer": "yes"},
        {"question_id": 5, "answer": "zwölf"},
    ]
    assert json.loads((tmp_path / "captions-x.json").read_text())[0] == {"image_id": 7, "caption": "a cat"}
    assert read_results(tmp_path / "answers-x.json").answers == texts.answers
    assert read_results(tmp_path / "captions-x.json").captions == texts.captions


def sample(image_id, *questions, captions=()):
    return Sample(image_id, lambda: Image.new("RGB", (8, 8)), questions, captions)


def question(number, truth=(), question_type="", answer_type=""):
    return Question(f"question {number}?", number, truth, question_type, answer_type)


def test_scores_by_type_and_without_truth():
    assignments = [
        Assignment(sample(1, question(1, ("red",), "what", "other"), question(2, ("2",), "how many", "number")), False),
        Assignment(sample(2, question(3, ("blue",), "what", "other"), question(4, (), "why")), False),
    ]
    original = Texts({1: "red", 2: "2", 3: "blue", 4: "x"})
    compressed = Texts({1: "red", 2: "3", 3: "blue", 4: "y"})
    rows = {row.name: row for row in score_answers(assignments, original, compressed, seed=0)}
    assert list(rows) == ["all", "number", "other", "how many", "what", "why"]
    assert (rows["all"].questions, rows["all"].images, rows["what"].images) == (4, 2, 2)
    assert rows["all"].original.value == 1 and rows["all"].compressed.value == pytest.approx(2 / 3)
    assert rows["all"].agreement.value == 0.5
    assert rows["number"].drop.value == 1
    assert rows["why"].original is rows["why"].compressed is rows["why"].drop is None
    assert rows["why"].agreement.value == 0
    (alone, *_) = score_answers(assignments, None, compressed, seed=0)
    assert alone.original is alone.drop is alone.agreement is None
    assert alone.compressed == rows["all"].compressed
    assert score_answers([Assignment(sample(1), True)], original, compressed, seed=0) == ()


def test_captions_without_references_agree_or_not():
    assignments = [
        Assignment(sample(1, captions=("a cat", "one cat")), True),
        Assignment(sample(2), True),
        Assignment(sample(3), False),
    ]
    original, compressed = Texts(captions={1: "a cat", 2: "x"}), Texts(captions={1: "a cat", 2: "y"})
    scores = score_captions(assignments, original, compressed, seed=0)
    assert scores.agreement.value == 0.5
    assert {row.metric: row.compressed.value for row in scores.metrics}["BLEU-2"] == pytest.approx(1)
    assert score_captions(assignments[1:], original, compressed, seed=0).metrics == ()


def test_examples_show_differences_first_and_the_costliest_of_them_first():
    asked = [question(number, ("red",) * 10) for number in range(5)]
    assignments = [Assignment(sample(1, *asked, captions=("a cat",)), True), Assignment(sample(2), True)]
    before = Texts(dict(enumerate(["red", "red", "blue", "red", "red"])), {1: "a cat", 2: "x"})
    after = Texts(dict(enumerate(["red", "red", "red", "blue", "red"])), {1: "a cat", 2: "y"})
    examples = answer_examples(assignments, before, after, 4)
    assert [example.question_id for example in examples] == [3, 2, 0, 1]
    assert (examples[0].truth[0], examples[0].original, examples[0].compressed) == ("red", "red", "blue")
    assert (examples[0].original_accuracy, examples[0].compressed_accuracy, examples[0].differs) == (1, 0, True)
    assert [example.image_id for example in caption_examples(assignments, before, after, 5)] == [2, 1]
    assert [example.differs for example in caption_examples(assignments, None, after, 5)] == [False, False]


def test_selection_takes_the_first_of_the_shuffle():
    source = open_source("demo:test")
    some = select(source, 12, 4, 42)
    assert sum(len(one.sample.questions) for one in some) == 12
    assert [one.captioned for one in some] == [True] * 4
    assert [len(one.sample.questions) for one in some] == [8, 4, 0, 0]
    assert [one.captioned for one in select(source, 20, 1, 42)] == [True, False, False]
    assert select(source, 0, 2, 42)[0].sample.questions == ()
    assert digest(some) == digest(select(source, 12, 4, 42)) != digest(select(source, 12, 3, 42))
    ids = [question.question_id for one in some for question in one.sample.questions]
    known = select_known(source, ids, [some[3].sample.image_id], 42)
    assert [len(one.sample.questions) for one in known] == [8, 4, 0]
    assert [one.captioned for one in known] == [False, False, True]


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


def test_lists_of_answers(tmp_path):
    text, listed = tmp_path / "a.txt", tmp_path / "a.json"
    text.write_text("﻿ yes \r\nno\n\nyes\n", encoding="utf-8")
    listed.write_text('["net", "pitcher"]')
    assert read_answers(text) == ["yes", "no"]
    assert read_answers(listed) == ["net", "pitcher"]
    for path, content, says in ((text, b"\n", "no answers"), (text, b"\xff\n", "UTF-8"), (listed, b"[1]", "strings")):
        path.write_bytes(content)
        with pytest.raises(DataError, match=says):
            read_answers(path)


@pytest.mark.parametrize(
    "options", [{"samples": -1}, {"max_new_tokens": 0}, {"top_k": 0}, {"samples": 0, "captions": 0}]
)
def test_bad_options_are_refused(options):
    with pytest.raises(InputError):
        EvaluateOptions(**options)


def test_intervals_are_rounded_to_no_negative_zero():
    assert interval(Estimate(-0.00001, -0.25, 0.125)) == "0.00 [-25.00, 12.50]"
    assert interval(Estimate(4.2, 3.0, 5.0), 1) == "420.0 [300.0, 500.0]"
    assert interval(None) == ""


def test_tables_show_intervals(done):
    evaluation, _ = done
    tables = {table.title: table for table in evaluation_tables(evaluation)}
    whole = evaluation.answers[0].original
    cell = f"{100 * whole.value:.2f} [{100 * whole.low:.2f}, {100 * whole.high:.2f}]"
    assert tables["VQA accuracy by answer type, %"].rows[0][2] == cell
    assert tables["VQA accuracy by answer type, %"].columns[2:] == ("FP16", "int8-int4")
    assert [row[0] for row in tables["Captions: metrics × 100"].rows][-2:] == ["CIDEr-D", "agreement"]
    alone = [table.title for table in evaluation_tables(replace(evaluation, original=None))]
    assert not any("original" in title for title in alone)
    assert all(len(row) == len(table.columns) for table in evaluation_tables(evaluation) for row in table.rows)


@pytest.fixture
def run(monkeypatch, capsys):
    """The command line in this process: its exit status, and what it prints."""

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["blipvino", *map(str, arguments)])
        with pytest.raises(SystemExit) as leaving:
            main()
        return leaving.value.code, capsys.readouterr()

    return run


def test_the_command_line_evaluates(int8, demo, tmp_path, run):
    out = tmp_path / "out"
    arguments = ["--samples", 8, "--captions", 1, "--original", demo.bundle, "-o", out, "--quiet"]
    code, printed = run("evaluate", int8, *arguments, "--json")
    assert not code and json.loads(printed.out) == json.loads((out / "evaluation.json").read_text())
    code, printed = run("evaluate", int8, *arguments)
    assert not code and "VQA accuracy by question type" in printed.out and "CIDEr-D" in printed.out
    code, printed = run("evaluate", int8, *arguments, "--seed", 3)
    assert code == 2 and "seed 42 there, 3 here" in printed.err
    code, printed = run("evaluate", int8, *arguments, "--seed", 3, "--restart")
    assert not code
    code, printed = run("evaluate", "--predictions", out / "answers-compressed.json", "--json")
    assert not code and json.loads(printed.out)["data"]["questions"] == 8
    code, printed = run("evaluate")
    assert code == 2 and "--predictions" in printed.err


def test_the_command_line_asks_by_a_list(demo, tmp_path, run):
    image, answers = tmp_path / "scene.png", tmp_path / "answers.txt"
    demo_sample("test", 2).image().save(image)
    answers.write_text("seven\neight\n")
    code, printed = run("ask", demo.bundle, image, "how many objects are there?", "--answers", answers)
    assert not code and printed.out.strip() in ("seven", "eight")
