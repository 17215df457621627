"""Taking samples, and the sources that a description names."""

from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from blipvino.data import DEFAULT_SAMPLES, DemoSource, Question, Sample, count_items, open_source, take
from blipvino.data.samples import shuffled
from blipvino.errors import DataError, ImageError
from blipvino.files.sample_files import load_image


def make_sample(image_id, questions):
    return Sample(image_id, lambda: Image.new("RGB", (2, 2)), tuple(Question(f"q{i}?", i) for i in range(questions)))


@dataclass
class ListSource:
    """A source that records what it was asked."""

    contents: list
    name: str = "list"
    asked: tuple = ()

    def samples(self, seed, limit):
        self.asked = (seed, limit)
        yield from self.contents


@given(st.lists(st.integers(0, 5), min_size=1, max_size=12), st.integers(1, 40))
def test_take_keeps_the_first_items(question_counts, count):
    source = ListSource([make_sample(i, n) for i, n in enumerate(question_counts)])
    taken = take(source, count, seed=7)
    assert source.asked == (7, count)
    assert count_items(taken) == min(count, sum(max(1, n) for n in question_counts))
    assert [s.image_id for s in taken] == list(range(len(taken)))
    for kept, original in zip(taken[:-1], source.contents, strict=False):
        assert kept == original
    last = source.contents[len(taken) - 1]
    assert taken[-1].questions == last.questions[: len(taken[-1].questions)]


def test_take_stops_reading_once_it_has_enough():
    def endless():
        while True:
            yield make_sample(0, 2)

    assert len(take(ListSource(endless()), 5)) == 3
    source = ListSource(endless())
    assert count_items(take(source)) == DEFAULT_SAMPLES
    assert source.asked == (42, 300)


def test_take_refuses_an_empty_source_and_a_count_below_one():
    with pytest.raises(DataError, match=r"^list: no samples in it"):
        take(ListSource([]))
    with pytest.raises(DataError, match="cannot take 0 samples"):
        take(ListSource([make_sample(0, 1)]), 0)


@given(st.integers(0, 50), st.integers(0, 2**32))
def test_shuffled_is_a_permutation_that_the_seed_decides(size, seed):
    items = list(range(size))
    assert sorted(shuffled(items, seed)) == items
    assert list(shuffled(items, seed)) == list(shuffled(items, seed))


def test_different_seeds_shuffle_differently():
    assert list(shuffled(range(100), 1)) != list(shuffled(range(100), 2))


def test_image_is_decoded_only_when_asked_for(tmp_path):
    path = tmp_path / "later.png"
    sample = Sample("later", partial(load_image, path))
    Image.new("L", (3, 2), 9).save(path)
    assert (sample.image().size, sample.image().mode, sample.image().getpixel((0, 0))) == ((3, 2), "L", 9)


@pytest.mark.parametrize("content", [None, b"", b"not an image", "truncated"])
def test_image_that_cannot_be_decoded_is_named(tmp_path, content):
    path = tmp_path / "broken.png"
    if content == "truncated":
        Image.effect_noise((64, 64), 50).save(path)
        content = path.read_bytes()[:300]
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ImageError, match=r"broken\.png: (cannot be read as an|no such) image"):
        Sample(1, partial(load_image, path)).image()


def test_errors_of_a_foreign_loader_become_image_errors():
    def fail():
        raise OSError("disk on fire")

    with pytest.raises(ImageError, match=r"^image 17: .*disk on fire"):
        Sample(17, fail).image()


@pytest.mark.parametrize(
    ("spec", "name"), [("demo", "demo:validation"), ("demo:test", "demo:test"), ("demo:train", "demo:train")]
)
def test_open_source_demo(spec, name):
    assert open_source(spec).name == name


def test_open_source_takes_an_existing_folder_bare_or_named(tmp_path, monkeypatch):
    Image.new("RGB", (2, 2)).save(tmp_path / "a.png")
    monkeypatch.setenv("HOME", str(tmp_path.parent))
    for spec in (str(tmp_path), f"folder:{tmp_path}", f"folder:~/{tmp_path.name}"):
        source = open_source(spec)
        assert source.name == f"folder:{tmp_path.name}"
        assert [s.image_id for s in take(source)] == ["a.png"]


@pytest.mark.parametrize("spec", ["", "nonsense", "imagenet:val", "vqav2", "folder:", "hf"])
def test_open_source_lists_the_forms_for_an_unknown_one(spec):
    with pytest.raises(DataError, match="unknown source") as refused:
        open_source(spec)
    for form in ("demo[:SPLIT]", "vqav2:QUESTIONS.json", "coco:CAPTIONS.json", "folder:PATH", "hf:NAME"):
        assert form in str(refused.value)


def test_open_source_refuses_a_bare_json_file_with_a_hint(tmp_path):
    path = tmp_path / "questions.json"
    path.write_text("{}")
    with pytest.raises(DataError, match=r"where its images are; write vqav2:.* or coco:"):
        open_source(str(path))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("demo:tset", "no such split; choose one of train, validation, test"),
        ("vqav2:only.json", r"expected vqav2:QUESTIONS\.json"),
        ("vqav2:a.json,b.json,c,d", r"expected vqav2:QUESTIONS\.json"),
        ("coco:a.json,", r"expected coco:CAPTIONS\.json,IMAGES_DIR"),
        ("vqav2:absent.json,images", r"absent\.json: no such questions file"),
        ("coco:absent.json,images", r"absent\.json: no such captions file"),
        ("folder:absent", "absent: no such folder of images"),
    ],
)
def test_open_source_names_what_is_wrong(spec, message):
    with pytest.raises(DataError, match=message):
        open_source(spec)


def test_product_modules_do_not_import_torch_or_datasets():
    # In a fresh interpreter: other tests of this process may have imported either.
    import subprocess
    import sys

    code = "import sys, blipvino.data; print([m for m in ('torch', 'transformers', 'datasets') if m in sys.modules])"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.strip() == "[]", Path(__file__).name


def test_spreading_takes_one_question_of_each_of_many_images():
    samples = take(DemoSource("validation"), 20, seed=3, spread=True)
    assert len(samples) == count_items(samples) == 20
    assert {len(sample.questions) for sample in samples} == {1}


def test_spreading_over_few_images_takes_more_questions_of_each():
    class FewImages:
        name = "few"

        def samples(self, seed, limit):
            return islice(DemoSource("validation").samples(seed, limit), 4)

    samples = take(FewImages(), 10, seed=3, spread=True)
    assert len(samples) == 4 and count_items(samples) == 10
    assert [len(sample.questions) for sample in samples] == [3, 3, 3, 1]


def test_a_negative_seed_is_refused():
    with pytest.raises(DataError, match="seed -1"):
        take(DemoSource("validation"), 3, seed=-1)
