"""Folders of images, with and without questions."""

import json

import pytest
from PIL import Image

from blipvino.data import FolderSource, count_items, take
from blipvino.errors import DataError

NAMES = ("a.jpg", "b.JPEG", "deep/er/c.png", "deep/d.webp", "e.bmp", "f.gif", "g.tif", "h.avif")


@pytest.fixture
def folder(tmp_path):
    for shade, name in enumerate(NAMES):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), 30 * shade).convert("RGB").save(path)
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / "._a.jpg").write_bytes(b"what macOS leaves behind")
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "thumbnail.png").write_bytes(b"nor this")
    return tmp_path


def write_lines(folder, *records):
    (folder / "questions.jsonl").write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in records))


def test_finds_images_below_the_folder(folder):
    taken = take(FolderSource(folder))
    assert sorted(sample.image_id for sample in taken) == sorted(NAMES)
    for sample in taken:
        assert abs(sample.image().convert("L").getpixel((4, 4)) - 30 * NAMES.index(sample.image_id)) <= 3


def test_order_depends_on_the_seed_and_on_names_alone(folder, tmp_path_factory):
    ids = [s.image_id for s in FolderSource(folder).samples(seed=3, limit=99)]
    copy = tmp_path_factory.mktemp("copy")
    for name in reversed(NAMES):  # another order of creation, hence of listing
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes((folder / name).read_bytes())
    assert [s.image_id for s in FolderSource(copy).samples(seed=3, limit=99)] == ids
    assert any([s.image_id for s in FolderSource(copy).samples(seed=n, limit=99)] != ids for n in range(4, 8))


def test_questions_file_decides_the_samples(folder):
    write_lines(
        folder,
        {"image": "deep/d.webp", "question": "what is it?", "answers": ["cat", "dog"]},
        "",
        {"image": "a.jpg", "question": "is it a cat?", "answer": "no"},
        {"image": "./deep/d.webp", "question": "où est-il ?"},
    )
    by_id = {sample.image_id: sample for sample in take(FolderSource(folder))}
    assert set(by_id) == {"a.jpg", "deep/d.webp"}
    assert [(q.text, q.question_id, q.answers) for q in by_id["deep/d.webp"].questions] == [
        ("what is it?", 1, ("cat", "dog")),
        ("où est-il ?", 4, ()),
    ]
    assert by_id["a.jpg"].questions[0].answers == ("no",)
    assert count_items(by_id.values()) == 3


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not valid JSON"),
        ("[1]", "expected 'question' to be a JSON string"),
        ({"image": "a.jpg"}, "expected 'question' to be a JSON string, found none"),
        ({"image": "a.jpg", "question": "  "}, "the question is blank"),
        ({"question": "what?"}, "expected 'image' to be a JSON string"),
        ({"image": "z.jpg", "question": "what?"}, r"image 'z\.jpg' is missing from"),
        ({"image": "../a.jpg", "question": "what?"}, r"must be a path relative to"),
        ({"image": "/a.jpg", "question": "what?"}, r"must be a path relative to"),
        ({"image": "a.jpg", "question": "what?", "answer": 3}, "expected 'answer' to be a JSON string, found 3"),
        ({"image": "a.jpg", "question": "what?", "answers": "red"}, "expected 'answers' to be a JSON list"),
        ({"image": "a.jpg", "question": "what?", "answers": [3]}, "expected 'answers' to be a list of strings"),
        ({"image": "a.jpg", "question": "what?", "answer": "a", "answers": []}, "both 'answer' and 'answers'"),
    ],
)
def test_bad_lines_are_named_by_file_and_line(folder, line, message):
    write_lines(folder, {"image": "a.jpg", "question": "fine?"}, line)
    with pytest.raises(DataError, match=rf"questions\.jsonl:2: .*{message}"):
        take(FolderSource(folder))


def test_a_line_that_is_not_utf8_is_named(folder):
    (folder / "questions.jsonl").write_bytes(b'{"image": "a.jpg", "question": "\xff?"}\n')
    with pytest.raises(DataError, match=r"questions\.jsonl:1: not valid JSON"):
        take(FolderSource(folder))


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"no images in it; expected files ending in \.avif, \.bmp, "):
        take(FolderSource(tmp_path))
