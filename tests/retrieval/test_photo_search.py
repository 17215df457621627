"""Photos found by a text, by an image, by both."""

import os
import sqlite3
from pathlib import Path

import pytest
from retrieval_subjects import ColorEmbedder, bad_photo, later, photo

from blipvino.errors import ImageError, InputError, RetrievalError
from blipvino.retrieval import PhotoIndex, SearchOptions, photo_search, search_photos, update_index
from blipvino.retrieval.kept_features import KeptFeatures
from blipvino.runtime.inputs.images import ImageProcessor


@pytest.fixture
def model():
    return ColorEmbedder()


@pytest.fixture
def folder(tmp_path):
    for color in ("red", "green", "blue", "yellow"):
        for shade in (0, 40, 80):
            photo(tmp_path / "photos" / f"{color}-{shade}.png", color, shade)
    return tmp_path / "photos"


@pytest.fixture
def index(tmp_path, folder, model):
    update_index(tmp_path / "index", [folder], model)
    with PhotoIndex(tmp_path / "index") as opened:
        yield opened


def names(found):
    return [hit.path.name for hit in found.hits]


def test_the_likeliest_photos_come_first(index, model):
    found = search_photos(index, model, "something red", options=SearchOptions(hits=3))
    assert names(found) == ["red-0.png", "red-40.png", "red-80.png"]
    chances = [hit.probability for hit in found.hits]
    assert chances == sorted(chances, reverse=True)
    assert chances[0] == pytest.approx(1)


def test_without_ranking_the_nearest_come_first(index, model):
    found = search_photos(index, model, "red", options=SearchOptions(hits=12, rerank=0))
    assert {hit.probability for hit in found.hits} == {None}
    similarities = [hit.similarity for hit in found.hits]
    assert similarities == sorted(similarities, reverse=True)


def test_of_more_photos_than_are_ranked_the_others_come_after(index, model):
    found = search_photos(index, model, "red", options=SearchOptions(hits=12, rerank=2))
    assert model.looked == 2
    assert [hit.probability is None for hit in found.hits] == [False] * 2 + [True] * 10


def test_an_image_finds_those_like_it(index, folder, model):
    found = search_photos(index, model, image=folder / "blue-40.png", options=SearchOptions(hits=3))
    assert names(found)[0] == "blue-40.png"
    assert {name.split("-")[0] for name in names(found)} == {"blue"}
    assert found.hits[0].similarity == pytest.approx(1)


def test_an_image_and_a_text_find_those_like_the_image_that_the_text_fits_best(index, folder, model):
    found = search_photos(index, model, "blue", folder / "blue-80.png", SearchOptions(hits=3, rerank=3))
    assert names(found) == ["blue-0.png", "blue-40.png", "blue-80.png"]


def test_copies_are_one_hit(index, folder, model):
    (folder / "a-copy.png").write_bytes((folder / "red-0.png").read_bytes())
    update_index(index.folder, [], model)
    found = search_photos(index, model, "red", options=SearchOptions(hits=2))
    assert names(found) == ["a-copy.png", "red-40.png"]
    assert [path.name for path in found.hits[0].copies] == ["red-0.png"]
    assert found.hits[0].to_json()["copies"] == [str(folder.resolve() / "red-0.png")]
    assert found.hits[1].to_json().keys() == {"path", "similarity", "probability"}


def test_photos_that_have_gone_since_are_passed_over(index, folder, model):
    (folder / "red-0.png").unlink()
    bad_photo(folder / "red-40.png")
    found = search_photos(index, model, "red", options=SearchOptions(hits=2))
    assert names(found)[0] == "red-80.png"
    assert len(found.hits) == 2
    assert sorted(path.name for path in found.missing) == ["red-0.png", "red-40.png"]


def test_a_photo_that_was_replaced_is_not_taken_for_its_copy(index, folder, model):
    (folder / "a.png").write_bytes((folder / "red-0.png").read_bytes())
    update_index(index.folder, [], model)
    photo(folder / "a.png", "blue", 7)
    found = search_photos(index, model, "red", options=SearchOptions(hits=1))
    assert (names(found), found.hits[0].copies) == (["red-0.png"], ())
    assert [path.name for path in found.missing] == ["a.png"]
    update_index(index.folder, [], model)
    again = search_photos(index, model, "red", options=SearchOptions(hits=1))
    assert (again.hits, again.missing) == (found.hits, [])
    assert again.hits[0].probability == pytest.approx(1)


def test_a_photo_that_is_replaced_while_it_is_read_is_not_taken_for_its_copy(index, folder, model, monkeypatch):
    (folder / "a.png").write_bytes((folder / "red-0.png").read_bytes())
    update_index(index.folder, [], model)
    read = ImageProcessor.pixels

    def replaced(images, paths):
        if isinstance(paths[0], Path) and paths[0].name == "a.png":
            photo(folder / "a.png", "blue", 7)
        return read(images, paths)

    monkeypatch.setattr(ImageProcessor, "pixels", replaced)
    found = search_photos(index, model, "red", options=SearchOptions(hits=1))
    assert (names(found), [path.name for path in found.missing]) == (["red-0.png"], ["a.png"])
    assert found.hits[0].probability == pytest.approx(1)


def test_a_photo_of_the_same_content_is_found_whenever_it_was_written(index, folder, model):
    later(folder / "red-0.png")
    found = search_photos(index, model, "red", options=SearchOptions(hits=1))
    assert (names(found), found.missing) == (["red-0.png"], [])


def test_no_more_than_a_few_batches_are_held(index, model, monkeypatch):
    """Neither as pixels nor as kept features, however many are ranked."""
    monkeypatch.setattr(photo_search, "DEFAULT_BATCH_SIZE", 1)
    read, get, match = ImageProcessor.pixels, KeptFeatures.get, model.match
    begun, done, held, asked = [], [], [], []

    def reading(images, paths):
        if isinstance(paths[0], Path):
            begun.append(paths)
            held.append(len(begun) - len(done))
        return read(images, paths)

    def matching(images, text):
        done.append(images)
        return match(images, text)

    def getting(kept, images):
        asked.append(len(images))
        return get(kept, images)

    monkeypatch.setattr(ImageProcessor, "pixels", reading)
    monkeypatch.setattr(model, "match", matching)
    monkeypatch.setattr(KeptFeatures, "get", getting)
    assert len(search_photos(index, model, "red", options=SearchOptions(hits=12, rerank=12)).hits) == 12
    assert max(held) <= photo_search._AHEAD + 1
    assert asked == [1] * 12


def test_more_than_there_is_finds_all(index, model):
    assert len(search_photos(index, model, "red", options=SearchOptions(hits=1000, rerank=1000)).hits) == 12


def test_what_cannot_be_searched_for_is_refused(index, tmp_path, model):
    with pytest.raises(InputError, match="a text, an image or both"):
        search_photos(index, model)
    with pytest.raises(InputError, match="expected some words"):
        search_photos(index, model, "  ")
    with pytest.raises(ImageError):
        search_photos(index, model, image=tmp_path / "none.png")
    with pytest.raises(RetrievalError, match="another bundle"):
        search_photos(index, ColorEmbedder("other"), "red")
    for wrong in ({"hits": 0}, {"rerank": -1}, {"hits": "3"}):
        with pytest.raises(InputError):
            SearchOptions(**wrong)


def test_an_index_that_cannot_be_written_is_searched(index, model, monkeypatch):
    """As from a read-only disk, where SQLite cannot put its log's index beside the records even to read them."""
    connect, asked = sqlite3.connect, []

    def on_read_only_disk(place, **options):
        asked.append(str(place))
        return connect(place if "immutable" in str(place) else "file:/nowhere/photos.sqlite?mode=ro", **options)

    index.close()
    monkeypatch.setattr(sqlite3, "connect", on_read_only_disk)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with PhotoIndex(index.folder) as opened:
        assert names(search_photos(opened, model, "red", options=SearchOptions(hits=1))) == ["red-0.png"]
    assert any(place.endswith("mode=ro&immutable=1") for place in asked)
