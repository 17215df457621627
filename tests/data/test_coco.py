"""COCO's captions files, read and written."""

import json

import pytest
from PIL import Image

from blipvino.data import CocoSource, Sample, open_source, take, write_coco
from blipvino.errors import DataError

CAPTIONS = {
    "info": {"description": "COCO 2017 Dataset", "version": "1.0", "year": 2017},
    "licenses": [{"id": 4, "name": "Attribution License"}],
    "images": [
        {"license": 4, "file_name": "000000397133.jpg", "height": 3, "width": 4, "id": 397133},
        {"license": 4, "file_name": "000000037777.jpg", "height": 3, "width": 4, "id": 37777},
    ],
    "annotations": [
        {"image_id": 37777, "id": 89, "caption": "A small kitchen."},
        {"image_id": 397133, "id": 98, "caption": "A man in a kitchen."},
        {"image_id": 37777, "id": 92, "caption": "A kitchen with a clock."},
    ],
}


@pytest.fixture
def files(tmp_path):
    captions, images = tmp_path / "captions_val2017.json", tmp_path / "val2017"
    captions.write_text(json.dumps(CAPTIONS))
    images.mkdir()
    for shade, record in enumerate(CAPTIONS["images"], start=1):
        Image.new("L", (4, 3), 80 * shade).save(images / record["file_name"])
    return captions, images


def test_reads_captions_and_images(files):
    captions, images = files
    source = open_source(f"coco:{captions},{images}")
    assert source.name == "coco:captions_val2017.json"
    by_id = {sample.image_id: sample for sample in take(source)}
    assert by_id[37777].captions == ("A small kitchen.", "A kitchen with a clock.")
    assert by_id[397133].captions == ("A man in a kitchen.",)
    assert abs(by_id[37777].image().getpixel((0, 0)) - 160) < 4
    assert by_id[37777].questions == ()


def test_reads_a_test_split_without_annotations(files):
    captions, images = files
    captions.write_text(json.dumps({"images": CAPTIONS["images"]}))
    assert {sample.captions for sample in take(CocoSource(captions, images))} == {()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("images"), "expected 'images' to be a JSON list, found none"),
        (lambda d: d["images"][1].pop("file_name"), r"images\[1\]: expected 'file_name'"),
        (lambda d: d["annotations"][2].update(caption=3), r"annotations\[2\]: expected 'caption' .* found 3"),
        (lambda d: d["annotations"][0].update(image_id=1), r"annotations\[0\]: image_id 1 is not among"),
    ],
)
def test_faults_are_named(files, change, message):
    captions, images = files
    document = json.loads(captions.read_text())
    change(document)
    captions.write_text(json.dumps(document))
    with pytest.raises(DataError, match=message):
        take(CocoSource(captions, images))


def test_missing_image_is_named_with_its_folder(files):
    captions, images = files
    (images / "000000037777.jpg").unlink()
    with pytest.raises(DataError, match=r"image 37777 is missing: expected 000000037777\.jpg in .*val2017; check"):
        take(CocoSource(captions, images))


def test_missing_folder_is_refused_when_opened(files):
    captions, images = files
    with pytest.raises(DataError, match="no such image folder"):
        open_source(f"coco:{captions},{images}2")


def test_writes_the_official_records(tmp_path):
    sample = Sample(7, lambda: Image.new("RGB", (4, 3)), captions=("a", "b"))
    path = write_coco(tmp_path, [sample], "val2014", ".png")
    assert path.name == "captions_val2014.json"
    document = json.loads(path.read_text())
    assert set(document) == {"info", "licenses", "images", "annotations"}
    assert document["images"] == [{"id": 7, "file_name": "COCO_val2014_000000000007.png", "width": 4, "height": 3}]
    assert document["annotations"] == [
        {"id": 1, "image_id": 7, "caption": "a"},
        {"id": 2, "image_id": 7, "caption": "b"},
    ]
