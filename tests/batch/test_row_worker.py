"""What a worker makes of rows: what the models say alone, in order, whatever is wrong with some."""

import threading
from dataclasses import replace
from io import BytesIO
from itertools import count, islice

import numpy as np
import pytest
from PIL import Image

from blipvino import Blip, BlipRetriever, EngineOptions
from blipvino.batch.batch_rows import InputRow
from blipvino.batch.remote_files import StoreError
from blipvino.batch.row_worker import RowWorker
from blipvino.batch.work_plan import TextWork, plan_work
from blipvino.demo.scenes import render, sample_scene
from blipvino.errors import BundleError, DataError, InputError

ANSWERS = ("red", "blue", "two", "three")
ONE_THREAD = EngineOptions(threads=1)


def picture(number):
    buffer = BytesIO()
    Image.fromarray(render(sample_scene("test", number))).save(buffer, "PNG")
    return buffer.getvalue()


def plan_of(folder, *tasks, retrieval=None, batch_size=4, **work):
    return plan_work(tasks, folder, retrieval, text_work=TextWork(**work), engine=ONE_THREAD, batch_size=batch_size)


def run(plan, rows):
    worker = RowWorker(plan)
    try:
        return list(worker.run(iter(rows)))
    finally:
        worker.close()


def scene_rows(numbers):
    return [InputRow(f"row {number}", picture(number)) for number in numbers]


def test_all_tasks_share_a_look_and_say_what_the_models_say_alone(int8, retrieval_int8):
    question = "what color is the circle?"
    rows = scene_rows(range(6))
    plan = plan_of(
        *(int8, "embed", "rank", "caption", "answer"), retrieval=retrieval_int8, questions=(question,), answers=ANSWERS
    )
    worker = RowWorker(plan)
    looked = []
    encode = worker._blip.extractor.encode
    worker._blip.extractor.encode = lambda pixels: looked.append(len(pixels)) or encode(pixels)
    made = list(worker.run(iter(rows)))
    worker.close()
    assert sum(looked) == len(rows)
    images = [row.image for row in rows]
    blip, retriever = Blip.load(int8, options=ONE_THREAD), BlipRetriever.load(retrieval_int8, options=ONE_THREAD)
    captions = blip.caption(images, return_scores=True)
    assert [row.id for row in made] == [row.id for row in rows]
    assert [row.made["caption"] for row in made] == [text.text for text in captions]
    assert [row.made["caption_confidence"] for row in made] == pytest.approx(
        [text.confidence for text in captions], abs=1e-4
    )
    assert [row.made["answer"] for row in made] == blip.answer(images, question)
    rankings = blip.rank(images, question, ANSWERS)
    assert [row.made["ranked_answers"] for row in made] == [list(ranking.answers) for ranking in rankings]
    np.testing.assert_allclose([row.made["embedding"] for row in made], retriever.embed_images(images), atol=1e-5)
    assert {row.error for row in made} == {None}
    assert {row.model for row in made} == {plan.fingerprint}
    assert {row.question for row in made} == {question}
    assert all(row.read_ms > 0 and row.compute_ms > 0 for row in made)
    assert plan.columns.arrow_table(made).num_rows == len(rows)


def test_bad_rows_are_rows_with_an_error(int8, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    rows = [
        InputRow("bytes", b"no picture"),
        *scene_rows([1]),
        InputRow("file", str(tmp_path / "bad.png")),
        InputRow("missing", str(tmp_path / "none.png")),
        InputRow("told", None, error="line 3: no image"),
        InputRow("url", "nosuch://bucket/a.png"),
        InputRow("none", None),
        InputRow("wordy", picture(2), "what " * 200),
        InputRow("asked", picture(3), "is there a circle?"),
    ]
    made = run(plan_of(int8, "caption", "answer"), rows)
    assert [row.id for row in made] == [row.id for row in rows]
    errors = {row.id: row.error for row in made}
    assert errors["bytes"].startswith("bytes: cannot be read as an image")
    assert errors["file"].startswith(f"{tmp_path / 'bad.png'}: cannot be read as an image")
    assert "no such image file" in errors["missing"]
    assert errors["told"] == "line 3: no image"
    assert errors["url"].startswith("nosuch://bucket/a.png: cannot be read")
    assert errors["none"] == "none: has no image"
    assert errors["row 1"].startswith("row 1: there is no question to ask")
    assert "tokens" in errors["wordy"]
    assert errors["asked"] is None
    captioned = [row.id for row in made if row.made.get("caption")]
    assert captioned == ["row 1", "wordy", "asked"]
    assert [row.made["answer"] for row in made if row.made.get("answer")] == ["yes"]


def test_a_store_that_gives_nothing_ends_the_run_after_what_came_before(int8, monkeypatch):
    def read_nothing(url):
        raise StoreError(f"{url}: there are no credentials for it")

    monkeypatch.setattr("blipvino.batch.batch_rows.read_url", read_nothing)
    worker = RowWorker(plan_of(int8, "caption", batch_size=2))
    made = []
    with pytest.raises(DataError, match=r"s3://bucket/a\.png: there are no credentials"):
        for row in worker.run(iter([*scene_rows(range(3)), InputRow("url", "s3://bucket/a.png"), *scene_rows([4])])):
            made.append(row)
    worker.close()
    assert [row.id for row in made] == ["row 0", "row 1", "row 2"]
    assert all(row.made["caption"] for row in made)


def test_several_questions_are_lists_and_rows_may_bring_their_own(int8):
    questions = ("is there a circle?", "is there a star?")
    rows = [InputRow("both", picture(1)), InputRow("own", picture(2), "is there a square?"), InputRow("bad", b"")]
    made = run(plan_of(int8, "answer", "rank", questions=questions, answers=("yes", "no")), rows)
    assert [row.question for row in made] == [questions, ("is there a square?",), questions]
    assert [len(row.made.get("answer", [])) for row in made] == [2, 1, 0]
    assert [row.made.get("ranked_answer") for row in made[:2]] == [row.made["answer"] for row in made[:2]]


def test_what_is_drawn_depends_on_the_row_alone(int8):
    drawn = TextWork(generation={"do_sample": True, "temperature": 3.0, "seed": 3})
    exact = EngineOptions(threads=1, precision="f32")  # else near ties fall as batches round
    plan = plan_work(["caption"], int8, text_work=drawn, engine=exact, batch_size=4)
    rows = scene_rows(range(6))
    together = {row.id: row.made["caption"] for row in run(plan, rows)}
    assert {row.id: row.made["caption"] for row in run(plan, rows[:2:-1])}.items() <= together.items()
    same = {row.made["caption"] for row in run(plan, [InputRow(str(number), picture(1)) for number in range(4)])}
    assert len(same) > 1  # of one picture, by different ids


def test_unsure_texts_are_left_out(int8):
    (row,) = run(
        plan_of(
            *(int8, "caption", "rank"), questions=("what color?",), answers=("zebra", "piano"), min_confidence=0.999999
        ),
        scene_rows([1]),
    )
    assert (row.made["caption"], row.made["ranked_answer"], row.error) == (None, None, None)
    assert 0 < row.made["caption_confidence"] < 1


def test_an_endless_input_is_read_no_further_than_needed_and_stops_cleanly(int8):
    taken = []
    content = picture(1)

    def endless():
        for number in count():
            taken.append(number)
            yield InputRow(str(number), content)

    threads = threading.active_count()
    worker = RowWorker(plan_of(int8, "caption", batch_size=2))
    made = worker.run(endless())
    assert [row.id for row in islice(made, 20)] == [str(number) for number in range(20)]
    assert len(taken) < 20 + 12
    made.close()
    worker.close()
    assert threading.active_count() <= threads


def test_rows_of_one_file_read_it_once(int8, tmp_path):
    (tmp_path / "a.png").write_bytes(picture(1))
    place = str(tmp_path / "a.png")
    rows = [InputRow(str(number), place, question) for number, question in enumerate(("what?", "how many shapes?"))]
    first, second = run(plan_of(int8, "answer"), rows)
    assert first.read_ms == second.read_ms
    assert (first.question, second.question) == ("what?", "how many shapes?")


def test_a_worker_refuses_what_was_not_planned(int8, tiny_int8):
    plan = plan_of(int8, "caption")
    strange = plan_of(tiny_int8, "caption")
    with pytest.raises(BundleError, match="another bundle"):
        RowWorker(type(plan)(**{**vars(plan), "texts": type(plan.texts)(tiny_int8, plan.texts.fingerprint)}))
    with pytest.raises(BundleError, match="another bundle"):  # with another confidence
        RowWorker(replace(plan, texts=replace(plan.texts, calibration="0" * 16)))
    assert strange.fingerprint != plan.fingerprint
    with pytest.raises(InputError, match="max_new_tokens"):
        RowWorker(plan_of(int8, "caption", generation={"max_new_tokens": 10**6}))
