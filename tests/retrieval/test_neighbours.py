"""The graph of neighbours: what is found in it, when it is made, and what is not taken for it."""

import sqlite3

import numpy as np
import pytest
from retrieval_subjects import ColorEmbedder, photo

from blipvino.retrieval import PhotoIndex, forget_folder, neighbours, update_index

COUNT = 300


@pytest.fixture
def model(monkeypatch):
    """One whose vectors point anywhere, with graphs that are worth their making from 100 images on."""
    pytest.importorskip("usearch")
    monkeypatch.setattr(neighbours, "WORTHWHILE", 100)
    monkeypatch.setattr(neighbours, "_TAIL", 10)
    return ColorEmbedder()


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(COUNT):
        photo(tmp_path / "photos" / f"{number}.png", tuple(rng.integers(0, 256, 3).tolist()))
    return tmp_path / "photos"


@pytest.fixture
def index(tmp_path, folder, model):
    update_index(tmp_path / "index", [folder], model)
    return tmp_path / "index"


def graphs(index):
    return [path.name for path in index.glob("neighbours*")]


def exact(model, folder, query, count):
    paths = sorted(folder.rglob("*.png"))
    scores = model.embed_images(paths) @ query
    return [paths[place] for place in np.argsort(-scores, kind="stable")[:count]]


def nearest(index, query, count):
    with PhotoIndex(index) as opened:
        return [files[0] for _, _, files in opened.nearest(query, count)]


def test_the_nearest_photos_are_found_in_the_graph(index, folder, model):
    assert len(graphs(index)) == 1
    with PhotoIndex(index) as opened:
        found = opened.nearest(model.embed_texts(["red"])[0], 10)
        assert opened._neighbours is not None
        assert len(opened._ids) == 0
    assert [files[0] for _, _, files in found] == exact(model, folder.resolve(), model.embed_texts(["red"])[0], 10)
    scores = [score for _, score, _ in found]
    assert scores == sorted(scores, reverse=True)


def test_a_path_leads_to_every_photo(index, folder, model):
    """Made anew again and again, as what threads would lose depends on chance."""
    for _ in range(40):
        for name in graphs(index):
            (index / name).unlink()
        update_index(index, [], model)
        with PhotoIndex(index) as opened:
            opened.nearest(model.embed_texts(["red"])[0], 1)
            graph = opened._neighbours
            assert len(set(graph.nearest(model.embed_texts(["red"])[0], COUNT))) == len(graph)


def test_photos_that_came_later_are_compared_one_by_one_and_then_taken_in(index, folder, model):
    (before,) = graphs(index)
    photo(folder / "very-red.png", "red")
    update_index(index, [], model)
    assert graphs(index) == [before]
    red = model.embed_texts(["red"])[0]
    assert nearest(index, red, 1) == [folder.resolve() / "very-red.png"]
    for shade in range(20):
        photo(folder / f"later-{shade}.png", (200, 100, shade))
    update_index(index, [], model)
    (after,) = graphs(index)
    assert after != before
    assert nearest(index, red, 10) == exact(model, folder.resolve(), red, 10)


def test_photos_that_are_gone_are_passed_over_and_the_graph_is_made_anew(index, folder, model):
    (before,) = graphs(index)
    red = model.embed_texts(["red"])[0]
    for path in exact(model, folder, red, 20):
        path.unlink()
    update_index(index, [], model)
    assert graphs(index) == [before]
    assert nearest(index, red, 10) == exact(model, folder.resolve(), red, 10)
    for path in exact(model, folder, red, 100):
        path.unlink()
    update_index(index, [], model)
    assert graphs(index) != [before]
    assert nearest(index, red, 200) == exact(model, folder.resolve(), red, 180)
    forget_folder(index, folder)
    assert nearest(index, red, 10) == []


@pytest.mark.parametrize("damage", ["removed", "cut", "renamed", "garbage", "left"])
def test_a_graph_that_is_not_whole_is_not_used_and_made_anew(index, folder, model, damage):
    (name,) = graphs(index)
    file = index / name
    if damage == "removed":
        file.unlink()
    elif damage == "cut":
        file.write_bytes(file.read_bytes()[:-100])
    elif damage == "renamed":
        file.rename(index / "neighbours-100-8-99.usearch")
    elif damage == "garbage":
        file.write_bytes(bytes(file.stat().st_size))
    else:
        (index / "neighbours.partial").write_bytes(b"left by a killed process")
    red = model.embed_texts(["red"])[0]
    assert nearest(index, red, 10) == exact(model, folder.resolve(), red, 10)
    update_index(index, [], model)
    assert graphs(index) == [name]
    assert nearest(index, red, 10) == exact(model, folder.resolve(), red, 10)


def test_records_that_a_power_failure_set_back_are_not_searched_by_the_graph_of_later_ones(index, folder, model):
    """The records issue ids again that the graph has given to images that they have lost."""
    last = max(int(name.split("-")[1]) for name in graphs(index))
    connection = sqlite3.connect(index / "photos.sqlite")
    with connection:
        for table, column in (("photos", "image"), ("images", "id")):
            connection.execute(f"DELETE FROM {table} WHERE {column} > ?", (last - 50,))
        connection.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'images'", (last - 50,))
    connection.close()
    with PhotoIndex(index) as opened:
        opened.nearest(model.embed_texts(["red"])[0], 1)
        assert opened._neighbours is None
    for number in range(10):
        photo(folder / f"later-{number}.png", (200, 100, number))
    update_index(index, [], model)
    assert len(graphs(index)) == 1
    for query in model.embed_images([folder / "later-3.png", folder / "7.png"]):
        assert nearest(index, query, 20) == exact(model, folder.resolve(), query, 20)


def test_a_graph_without_images_of_the_records_is_made_anew(index, folder, model):
    connection = sqlite3.connect(index / "photos.sqlite")
    gone, vector = connection.execute("SELECT id, vector FROM images LIMIT 1").fetchone()
    (name,) = graphs(index)
    graph = neighbours._opened(index / name, 4, view=False)
    graph.remove(gone)
    (index / name).unlink()
    neighbours._save(graph, index, int(name.split("-")[1]), 4)
    connection.close()
    update_index(index, [], model)
    query = np.frombuffer(vector, np.float32)
    assert nearest(index, query, 10) == exact(model, folder.resolve(), query, 10)


def test_the_records_are_on_disk_before_a_graph_of_them_is(index, folder, model, monkeypatch):
    logs, save = [], neighbours._save

    def saving(*arguments):
        logs.append((index / "photos.sqlite-wal").stat().st_size)
        save(*arguments)

    monkeypatch.setattr(neighbours, "_save", saving)
    (index / graphs(index)[0]).unlink()
    photo(folder / "later.png", (200, 100, 50))
    update_index(index, [], model)
    assert logs == [0]


def test_without_the_library_all_are_compared(index, folder, model, monkeypatch):
    monkeypatch.setattr(neighbours, "_library", lambda: None)
    assert not neighbours.can_find_neighbours()
    red = model.embed_texts(["red"])[0]
    with PhotoIndex(index) as opened:
        assert [files[0] for _, _, files in opened.nearest(red, 10)] == exact(model, folder.resolve(), red, 10)
        assert len(opened._ids) == len({path.read_bytes() for path in folder.iterdir()})


def test_an_opened_index_sees_what_is_written_later(index, folder, model):
    red = model.embed_texts(["red"])[0]
    with PhotoIndex(index) as opened:
        first = opened.nearest(red, 1)[0][2]
        photo(folder / "very-red.png", "red")
        update_index(index, [], model)
        assert opened.nearest(red, 1)[0][2] == [folder.resolve() / "very-red.png"] != first
        (folder / "very-red.png").unlink()
        update_index(index, [], model)
        assert opened.nearest(red, 1)[0][2] == first


def test_a_graph_that_cannot_be_written_is_a_warning(index, folder, model, monkeypatch, caplog):
    def full(paths):
        raise OSError(28, "No space left on device")

    (name,) = graphs(index)
    (index / name).unlink()
    monkeypatch.setattr(neighbours, "flush", full)
    assert update_index(index, [], model).unchanged == COUNT
    assert "cannot be written ([Errno 28] No space left on device); searches take longer" in caplog.text
    assert graphs(index) == []
    red = model.embed_texts(["red"])[0]
    assert nearest(index, red, 10) == exact(model, folder.resolve(), red, 10)
