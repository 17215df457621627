"""VQAv2's files, read and written."""

import json

import pytest
from PIL import Image

from blipvino.data import Question, Sample, Vqav2Source, open_source, take, write_vqav2
from blipvino.errors import DataError

# Shaped after the first records of the official val2014 files.
QUESTIONS = {
    "info": {"description": "This is v2.0 of the VQA dataset.", "version": "2.0"},
    "task_type": "Open-Ended",
    "data_type": "mscoco",
    "license": {"name": "Creative Commons Attribution 4.0 International License"},
    "data_subtype": "val2014",
    "questions": [
        {"image_id": 262148, "question": "Where is he looking?", "question_id": 262148000},
        {"image_id": 42, "question": "Is this a shoe?", "question_id": 42000},
        {"image_id": 262148, "question": "What are the people in the background doing?", "question_id": 262148001},
    ],
}
GIVEN = {262148000: "down", 42000: "yes", 262148001: "watching"}
ANNOTATIONS = {
    "data_subtype": "val2014",
    "annotations": [
        {
            "question_type": "none of the above",
            "multiple_choice_answer": answer,
            "answers": [
                {"answer": answer if number < 10 else "unsure", "answer_confidence": "yes", "answer_id": number}
                for number in range(1, 11)
            ],
            "image_id": question_id // 1000,
            "answer_type": "yes/no" if answer == "yes" else "other",
            "question_id": question_id,
        }
        for question_id, answer in reversed(GIVEN.items())
    ],
}


@pytest.fixture
def files(tmp_path):
    questions, annotations, images = tmp_path / "questions.json", tmp_path / "annotations.json", tmp_path / "val2014"
    questions.write_text(json.dumps(QUESTIONS))
    annotations.write_text(json.dumps(ANNOTATIONS))
    images.mkdir()
    Image.new("RGB", (4, 3), (200, 0, 0)).save(images / "COCO_val2014_000000262148.jpg")
    Image.new("RGB", (4, 3), (0, 200, 0)).save(images / "000000000042.png")
    return questions, annotations, images


def edit(path, change):
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def test_reads_questions_answers_and_images(files):
    questions, annotations, images = files
    source = open_source(f"vqav2:{questions},{annotations},{images}")
    assert source.name == "vqav2:questions.json"
    by_id = {sample.image_id: sample for sample in source.samples(seed=0, limit=10)}
    assert set(by_id) == {42, 262148}
    assert by_id[262148].questions == (
        Question("Where is he looking?", 262148000, ("down",) * 9 + ("unsure",), "none of the above", "other"),
        Question(
            "What are the people in the background doing?",
            262148001,
            ("watching",) * 9 + ("unsure",),
            "none of the above",
            "other",
        ),
    )
    assert by_id[42].questions[0].answer_type == "yes/no"
    assert by_id[262148].image().getpixel((1, 1))[0] > 150
    assert by_id[42].image().getpixel((1, 1)) == (0, 200, 0)


def test_without_annotations_the_questions_have_no_answers(files):
    questions, _, images = files
    taken = take(open_source(f"vqav2:{questions},{images}"))
    assert {q.answers for s in taken for q in s.questions} == {()}
    assert sum(len(s.questions) for s in taken) == 3


def test_test_dev_questions_find_the_test_images(files):
    questions, _, images = files
    edit(questions, lambda d: d.update(data_subtype="test-dev2015"))
    (images / "COCO_val2014_000000262148.jpg").rename(images / "COCO_test2015_000000262148.jpg")
    assert len(take(Vqav2Source(questions, images))) == 2


def test_missing_image_is_named_with_its_folder(files):
    questions, annotations, images = files
    (images / "COCO_val2014_000000262148.jpg").unlink()
    with pytest.raises(DataError, match=r"image 262148 is missing: expected COCO_val2014_000000262148\.jpg in .*val2"):
        take(Vqav2Source(questions, images, annotations))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("data_subtype"), r"questions\.json: expected 'data_subtype' to be a JSON string, found none"),
        (lambda d: d.update(questions={}), r"questions\.json: expected 'questions' to be a JSON list, found {}"),
        (lambda d: d["questions"].append(7), r"questions\[3\]: expected 'question_id' to be a JSON integer"),
        (lambda d: d["questions"][1].update(image_id="42"), r"questions\[1\]: expected 'image_id' .* found \"42\""),
        (lambda d: d["questions"][1].update(question_id=True), r"questions\[1\]: expected 'question_id'"),
        (lambda d: d["questions"][2].update(question_id=5), r"annotations\.json: no annotation for question 5"),
    ],
)
def test_faults_of_the_questions_are_named(files, change, message):
    questions, annotations, images = files
    edit(questions, change)
    with pytest.raises(DataError, match=message):
        take(Vqav2Source(questions, images, annotations))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["annotations"][0].pop("question_id"), r"annotations\[0\]: expected 'question_id'"),
        (lambda d: d["annotations"][2].pop("answers"), r"question_id=262148000: expected 'answers' to be a JSON list"),
        (lambda d: d["annotations"][2]["answers"][4].pop("answer"), r"question_id=262148000: answers\[4\]: expected"),
    ],
)
def test_faults_of_the_annotations_are_named(files, change, message):
    questions, annotations, images = files
    edit(annotations, change)
    with pytest.raises(DataError, match=message):
        take(Vqav2Source(questions, images, annotations))


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe\xfd", b""])
def test_what_is_not_json_is_named(files, content):
    questions, _, images = files
    questions.write_bytes(content)
    with pytest.raises(DataError, match=r"questions\.json: not valid JSON"):
        take(Vqav2Source(questions, images))


def test_a_json_list_is_refused(files):
    questions, _, images = files
    questions.write_text("[]")
    with pytest.raises(DataError, match=r"expected a JSON object, found a list"):
        take(Vqav2Source(questions, images))


def test_writes_the_official_names_and_records(tmp_path):
    answers = ("red",) * 6 + ("dark red",) * 4
    sample = Sample(42, Image.Image, (Question("What color?", 42000, answers, "what color", "other"),))
    questions, annotations = write_vqav2(tmp_path, [sample], "val2014")
    assert questions.name == "v2_OpenEnded_mscoco_val2014_questions.json"
    assert annotations.name == "v2_mscoco_val2014_annotations.json"
    document = json.loads(questions.read_text())
    assert set(document) == {"info", "task_type", "data_type", "data_subtype", "license", "questions"}
    assert document["questions"] == [{"image_id": 42, "question": "What color?", "question_id": 42000}]
    (record,) = json.loads(annotations.read_text())["annotations"]
    assert record["multiple_choice_answer"] == "red"
    assert record["answers"][9] == {"answer": "dark red", "answer_confidence": "yes", "answer_id": 10}
    assert set(record) == set(ANNOTATIONS["annotations"][0])


def test_writes_no_annotations_where_there_are_no_answers(tmp_path):
    _, annotations = write_vqav2(tmp_path, [Sample(1, Image.Image, (Question("why?", 1),))], "test2015")
    assert annotations is None
    assert [path.name for path in tmp_path.iterdir()] == ["v2_OpenEnded_mscoco_test2015_questions.json"]


def test_refuses_to_write_what_the_format_cannot_hold(tmp_path):
    mixed = (Question("why?", 1, ("yes",)), Question("how?", 2))
    with pytest.raises(DataError, match="question 2: no answers, while other questions have some"):
        write_vqav2(tmp_path, [Sample(1, Image.Image, mixed)], "val2014")
    with pytest.raises(DataError, match=r"image 'a\.jpg': .* need an integer image id"):
        write_vqav2(tmp_path, [Sample("a.jpg", Image.Image, mixed[:1])], "val2014")
    assert list(tmp_path.iterdir()) == []
