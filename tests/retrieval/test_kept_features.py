"""What was seen in photos, kept between searches, within a limit."""

import sqlite3

import numpy as np
import pytest
from retrieval_subjects import ColorEmbedder, photo

from blipvino.retrieval import PhotoIndex, SearchOptions, search_photos, update_index
from blipvino.retrieval.kept_features import KeptFeatures
from blipvino.runtime.features import ImageFeatures

MODEL = "a model"
BYTES = 2 * 3 * 5


def features(value):
    return ImageFeatures(np.full((3, 5), value, np.float32), MODEL)


def test_what_is_kept_is_there_for_the_next_process(tmp_path):
    KeptFeatures(tmp_path, MODEL).put({1: features(0.1), 2: features(2)}, [])
    found = KeptFeatures(tmp_path, MODEL).get([2, 1, 7])
    assert set(found) == {1, 2}
    assert np.array_equal(found[1].image_embeds, KeptFeatures(tmp_path, MODEL).rounded(features(0.1)).image_embeds)
    assert (found[1].image_embeds.dtype, found[1].model) == (np.float32, MODEL)
    assert np.allclose(found[1].image_embeds, 0.1, rtol=1e-3)
    assert KeptFeatures(tmp_path, "another").get([1, 2]) == {}


def test_the_longest_unused_go_first(tmp_path):
    kept = KeptFeatures(tmp_path, MODEL, 3 * BYTES)
    for image in (1, 2, 3):
        kept.put({image: features(image)}, [])
    kept.put({}, [1])
    kept.put({4: features(4)}, [])
    assert set(kept.get([1, 2, 3, 4])) == {1, 3, 4}
    KeptFeatures(tmp_path, MODEL, BYTES).put({}, [3])
    assert set(kept.get([1, 2, 3, 4])) == {3}


def test_nothing_is_kept_where_nothing_shall_be(tmp_path):
    kept = KeptFeatures(tmp_path, MODEL, 0)
    kept.put({1: features(1)}, [])
    assert list(tmp_path.iterdir()) == []
    assert kept.rounded(given := features(0.1)) is given
    KeptFeatures(tmp_path, MODEL).put({1: features(1)}, [])
    assert kept.get([1]) == {}


@pytest.mark.parametrize("damage", ["garbage", "held", "folder"])
def test_what_is_wrong_with_it_costs_time_alone(tmp_path, damage):
    file = tmp_path / "features.sqlite"
    kept = KeptFeatures(tmp_path, MODEL)
    if damage == "folder":
        file.mkdir()
    else:
        kept.put({1: features(1)}, [])
    if damage == "garbage":
        for left in tmp_path.glob("features.sqlite-*"):
            left.unlink()
        file.write_bytes(b"no database" * 1000)
    holder = sqlite3.connect(file, isolation_level=None) if damage == "held" else None
    if holder is not None:
        holder.execute("BEGIN EXCLUSIVE")
    kept.put({2: features(2)}, [])
    assert 2 not in kept.get([1, 2])
    if holder is not None:
        holder.close()
    if damage != "folder":
        kept.put({2: features(2)}, [])
        assert 2 in kept.get([1, 2])


@pytest.mark.parametrize(
    "damage",
    [
        *("image_embeds = X'00'", "image_embeds = X''", "image_embeds = substr(image_embeds, 7)"),
        *("image_embeds = 'text'", "positions = 7", "positions = 0", "positions = 'x'", "bytes = 2"),
    ],
)
def test_features_of_another_length_are_taken_for_none(tmp_path, damage):
    kept = KeptFeatures(tmp_path, MODEL)
    kept.put({1: features(1), 2: features(2)}, [])
    connection = sqlite3.connect(tmp_path / "features.sqlite")
    with connection:
        connection.execute(f"UPDATE features SET {damage} WHERE image = 1")
    connection.close()
    assert set(kept.get([1, 2])) == {2}
    kept.put({1: features(1)}, [])
    assert set(kept.get([1, 2])) == {1, 2}


def test_a_second_search_looks_at_no_photo_again_and_finds_the_same(tmp_path):
    for shade in range(12):
        photo(tmp_path / "photos" / f"{shade}.png", "red", 3 * shade)
    model = ColorEmbedder()
    update_index(tmp_path / "index", [tmp_path / "photos"], model)
    with PhotoIndex(tmp_path / "index") as index:
        first = search_photos(index, model, "red")
        assert model.looked == 12
        assert search_photos(index, model, "red") == first
        assert model.looked == 12
        assert (
            search_photos(index, model, "red", options=SearchOptions(keep_bytes=0)).hits[0].path == first.hits[0].path
        )
        assert model.looked == 24
