"""Hugging Face datasets, from local parquet folders and without a network."""

import io
import sys

import pytest
from PIL import Image

from blipvino.data import DemoSource, HuggingFaceSource, count_items, open_source, take
from blipvino.errors import DataError, ImageError

datasets = pytest.importorskip("datasets")


@pytest.fixture(autouse=True)
def settings(tmp_path_factory, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
    # datasets 5 waits 5 s at the end of each shuffled parquet stream, for Arrow's threads to end (apache/arrow#45214).
    monkeypatch.setattr(datasets.config, "SLEEP_TIME_ON_THREADS_SHUTDOWN", 0.01, raising=False)


def encoded(image):
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def vqav2_rows(samples):
    """Rows as in lmms-lab/VQAv2: one a question, the image repeated in each."""
    for sample in samples:
        picture = {"bytes": encoded(sample.image()), "path": None}
        for question in sample.questions:
            yield {
                "question_type": question.question_type,
                "multiple_choice_answer": question.answers[0],
                "answers": [
                    {"answer": answer, "answer_confidence": "yes", "answer_id": number}
                    for number, answer in enumerate(question.answers, start=1)
                ],
                "image_id": sample.image_id,
                "answer_type": question.answer_type,
                "question_id": question.question_id,
                "question": question.text,
                "image": picture,
            }


def write_parquet(folder, rows, split="validation"):
    (folder / "data").mkdir(exist_ok=True, parents=True)
    dataset = datasets.Dataset.from_list(list(rows))
    if "image" in dataset.column_names and isinstance(dataset[0]["image"], dict):
        dataset = dataset.cast_column("image", datasets.Image())
    dataset.to_parquet(folder / "data" / f"{split}-00000-of-00001.parquet")
    return folder


@pytest.fixture(scope="module")
def world():
    return take(DemoSource(), 60)


@pytest.fixture(scope="module")
def vqav2(world, tmp_path_factory):
    return write_parquet(tmp_path_factory.mktemp("vqav2"), vqav2_rows(world))


def test_reads_a_vqav2_set_whole(vqav2, world):
    source = open_source(f"hf:{vqav2}")
    assert source.name == f"hf:{vqav2}@validation"
    taken = {sample.image_id: sample for sample in source.samples(seed=1, limit=1000)}
    assert set(taken) == {sample.image_id for sample in world}
    for expected in world:
        found = taken[expected.image_id]
        assert sorted(found.questions, key=lambda q: q.question_id) == list(expected.questions)
        assert found.image().tobytes() == expected.image().tobytes()


def test_takes_rows_and_groups_them_by_image(vqav2):
    source = HuggingFaceSource(str(vqav2))
    taken = take(source, 25, seed=5)
    assert count_items(taken) == 25
    ids = [sample.image_id for sample in taken]
    assert len(set(ids)) == len(ids)
    assert take(source, 25, seed=5)[3].questions == taken[3].questions
    assert [s.image_id for s in take(source, 25, seed=6)] != ids


def test_reads_no_more_rows_than_asked(vqav2):
    assert count_items(HuggingFaceSource(str(vqav2)).samples(seed=0, limit=7)) == 7


@pytest.mark.parametrize(
    ("splits", "chosen"),
    [(("test", "train", "validation"), "train"), (("test", "validation"), "validation"), (("test",), "test")],
)
def test_default_split(tmp_path, splits, chosen):
    for split in splits:
        write_parquet(tmp_path, [{"image": {"bytes": encoded(Image.new("L", (1, 1))), "path": None}}], split)
    assert HuggingFaceSource(str(tmp_path)).name.endswith(f"@{chosen}")
    assert open_source(f"hf:{tmp_path}@test").name.endswith("@test")
    with pytest.raises(DataError, match=r"no split 'val'; choose one of .*test"):
        open_source(f"hf:{tmp_path}@val")


@pytest.mark.parametrize(
    ("columns", "captions"),
    [
        ({"caption": "a dog"}, ("a dog",)),
        ({"captions": ["a dog", "a brown dog"]}, ("a dog", "a brown dog")),
        ({"text": "a dog"}, ("a dog",)),
        ({"text": "a scanned page", "question": "what?"}, ()),
    ],
)
def test_caption_columns(tmp_path, columns, captions):
    row = {"image": {"bytes": encoded(Image.new("L", (2, 2))), "path": None}, **columns}
    write_parquet(tmp_path, [row])
    (sample,) = take(HuggingFaceSource(str(tmp_path)))
    assert sample.captions == captions
    assert [q.text for q in sample.questions] == ([columns["question"]] if "question" in columns else [])


def test_captions_of_one_image_are_gathered_and_rows_without_ids_stay_apart(tmp_path):
    picture = {"bytes": encoded(Image.new("L", (2, 2))), "path": None}
    rows = [{"image": picture, "image_id": "x", "caption": caption} for caption in ("one", "two", "one")]
    (sample,) = take(HuggingFaceSource(str(write_parquet(tmp_path / "ids", rows))))
    assert (sample.image_id, sorted(sample.captions)) == ("x", ["one", "two"])
    rows = [{"image": picture, "caption": "one"}] * 3
    taken = take(HuggingFaceSource(str(write_parquet(tmp_path / "none", rows))))
    assert sorted(sample.image_id for sample in taken) == [0, 1, 2]


@pytest.mark.parametrize("answers", [["red", "red"], "red"])
def test_answers_as_strings_and_images_as_bytes(tmp_path, answers):
    column = "answer" if isinstance(answers, str) else "answers"
    row = {"image": encoded(Image.new("L", (2, 3), 5)), "question": "what color?", column: answers}
    (sample,) = take(HuggingFaceSource(str(write_parquet(tmp_path, [row]))))
    assert sample.questions[0].answers == (("red",) if isinstance(answers, str) else ("red", "red"))
    assert (sample.image().size, sample.image().getpixel((0, 0))) == ((2, 3), 5)


def test_an_undecodable_image_is_named_when_loaded(tmp_path):
    write_parquet(tmp_path, [{"image": {"bytes": b"nonsense", "path": None}, "image_id": 9}])
    (sample,) = take(HuggingFaceSource(str(tmp_path)))
    with pytest.raises(ImageError, match=r"@validation: image 9: cannot be decoded"):
        sample.image()


def test_a_set_without_images_is_refused(tmp_path):
    write_parquet(tmp_path, [{"question": "what?"}])
    with pytest.raises(DataError, match=r"expected one in a column image or .*, found columns question"):
        take(HuggingFaceSource(str(tmp_path)))


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ConnectionError("Couldn't reach the Hub\nlong details"), r"cannot be read \(Couldn't reach the Hub\); check"),
        (TimeoutError(), r"cannot be read \(TimeoutError\)"),
        (RuntimeError("Dataset scripts are no longer supported, but found x.py"), r"loading script.*lmms-lab/VQAv2"),
    ],
)
def test_an_unreachable_dataset_is_a_data_error(monkeypatch, error, message):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(DataError, match=message):
        open_source("hf:owner/name")


def test_a_failure_while_streaming_is_a_data_error(vqav2):
    source = HuggingFaceSource(str(vqav2))
    (file,) = vqav2.rglob("*.parquet")
    content = file.read_bytes()
    try:
        file.write_bytes(content[:1000])
        with pytest.raises(DataError, match="cannot be read"):
            take(source)
    finally:
        file.write_bytes(content)


def test_a_missing_extra_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match=r"pip install 'blipvino\[datasets\]'"):
        open_source("hf:lmms-lab/VQAv2")


def test_name_config_and_split_are_told_apart(monkeypatch):
    asked = []

    def load_dataset(name, config, streaming):
        asked.append((name, config, streaming))
        return {"val": datasets.Dataset.from_list([{"a": 1}]).to_iterable_dataset()}

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert open_source("hf:owner/name,english@val").name == "hf:owner/name,english@val"
    assert asked == [("owner/name", "english", True)]
