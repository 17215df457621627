"""An index beside its folders: what is new, changed, moved, gone, bad; and two who write."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from retrieval_subjects import ColorEmbedder, bad_photo, later, photo

from blipvino.errors import InputError, OutputError, RetrievalError
from blipvino.retrieval import PhotoIndex, UpdateOptions, forget_folder, update_index
from blipvino.retrieval.index_lock import writing


@pytest.fixture
def model():
    return ColorEmbedder()


@pytest.fixture
def folder(tmp_path):
    """Three photos, one of them in a folder below."""
    photo(tmp_path / "photos" / "a.png", "red")
    photo(tmp_path / "photos" / "b.png", "green")
    photo(tmp_path / "photos" / "deep" / "er" / "c.png", "blue")
    return tmp_path / "photos"


@pytest.fixture
def index(tmp_path, folder, model):
    """An index of them."""
    path = tmp_path / "index"
    summary = update_index(path, [folder], model)
    assert (summary.new, summary.photos, summary.images, summary.unreadable, model.embedded) == (3, 3, 3, 0, 3)
    model.embedded = 0
    return path


def paths(index):
    """All photos of an index, and the vectors of each."""
    with PhotoIndex(index) as opened:
        ids = np.concatenate([ids for ids, _ in opened.records.vectors()] or [np.zeros(0, int)])
        found = opened.records.photos_of(ids.tolist())
    assert set(found) == set(ids.tolist())  # no vector is without a photo
    return sorted(path for files in found.values() for path in files)


def vector(index, path):
    with PhotoIndex(index) as opened:
        for ids, vectors in opened.records.vectors():
            for image, files in opened.records.photos_of(ids.tolist()).items():
                if path.resolve() in files:
                    return vectors[list(ids).index(image)]
    return None


def changes(summary):
    names = ("new", "copies", "moved", "changed", "touched", "deleted", "unchanged", "unreadable")
    return {name: getattr(summary, name) for name in names if getattr(summary, name)}


def test_an_index_has_every_photo_below_its_folders_with_its_vector(index, folder, model):
    assert paths(index) == sorted(folder.resolve().rglob("*.png"))
    assert np.array_equal(vector(index, folder / "a.png"), model.embed_images([folder / "a.png"])[0])
    manifest = json.loads((index / "index.json").read_text())
    assert manifest["bundle"]["fingerprint"] == "colors-fingerprint"
    assert (manifest["format"], manifest["width"]) == (1, 4)


def test_what_is_known_is_not_looked_at_again(index, folder, model):
    assert changes(update_index(index, [folder], model)) == {"unchanged": 3}
    assert changes(update_index(index, [], model)) == {"unchanged": 3}
    assert model.embedded == 0


def test_what_is_new_is_embedded_alone(index, folder, model):
    photo(folder / "new" / "d.png", "yellow")
    assert changes(update_index(index, [], model)) == {"new": 1, "unchanged": 3}
    assert model.embedded == 1
    assert paths(index) == sorted(folder.resolve().rglob("*.png"))


def test_what_has_changed_has_its_new_vector(index, folder, model):
    before = vector(index, folder / "a.png")
    photo(folder / "a.png", "yellow")
    later(folder / "a.png")
    assert changes(update_index(index, [], model)) == {"changed": 1, "unchanged": 2}
    after = vector(index, folder / "a.png")
    assert np.array_equal(after, model.embed_images([folder / "a.png"])[0])
    assert not np.array_equal(before, after)
    assert len(paths(index)) == 3


def test_what_was_touched_is_not_embedded(index, folder, model):
    later(folder / "a.png")
    assert changes(update_index(index, [], model)) == {"touched": 1, "unchanged": 2}
    assert changes(update_index(index, [], model)) == {"unchanged": 3}
    assert model.embedded == 0


def test_what_moves_takes_its_vector_along(index, folder, model):
    before = vector(index, folder / "a.png")
    (folder / "a.png").rename(folder / "deep" / "renamed.png")
    (folder / "deep" / "er").rename(folder / "elsewhere")
    assert changes(update_index(index, [], model)) == {"moved": 2, "unchanged": 1}
    assert model.embedded == 0
    assert np.array_equal(vector(index, folder / "deep" / "renamed.png"), before)
    assert paths(index) == sorted(folder.resolve().rglob("*.png"))


def test_a_copy_costs_nothing_and_stays_when_the_first_goes(index, folder, model):
    copy = folder / "copy.png"
    copy.write_bytes((folder / "a.png").read_bytes())
    assert changes(update_index(index, [], model)) == {"copies": 1, "unchanged": 3}
    (folder / "a.png").unlink()
    assert changes(update_index(index, [], model)) == {"deleted": 1, "unchanged": 3}
    assert model.embedded == 0
    assert vector(index, copy) is not None


def test_copies_that_are_new_together_are_one_image(tmp_path, folder, model):
    for number in range(20):
        (folder / f"copy{number}.png").write_bytes((folder / "a.png").read_bytes())
    summary = update_index(tmp_path / "new-index", [folder], model)
    assert (summary.new, summary.copies, summary.photos, summary.images) == (3, 20, 23, 3)


def test_what_is_gone_goes(index, folder, model):
    (folder / "a.png").unlink()
    (folder / "deep" / "er" / "c.png").unlink()
    assert changes(update_index(index, [], model)) == {"deleted": 2, "unchanged": 1}
    assert paths(index) == [(folder / "b.png").resolve()]


def test_two_photos_may_change_places(index, folder, model):
    before = vector(index, folder / "a.png")
    (folder / "a.png").rename(folder / "other")
    (folder / "b.png").rename(folder / "a.png")
    (folder / "other").rename(folder / "b.png")
    later(folder / "a.png"), later(folder / "b.png")
    assert changes(update_index(index, [], model)) == {"changed": 2, "unchanged": 1}
    assert model.embedded == 0
    assert np.array_equal(vector(index, folder / "b.png"), before)


def test_what_cannot_be_read_is_told_once_and_tried_again_when_it_changes(index, folder, model):
    bad = bad_photo(folder / "bad.jpg")
    told = []
    options = UpdateOptions(on_error=told.append)
    summary = update_index(index, [], model, options=options)
    assert changes(summary) == {"unreadable": 1, "unchanged": 3}
    assert (summary.errors, told) == (told, summary.errors)
    assert "bad.jpg" in told[0]
    summary = update_index(index, [], model, options=options)
    assert (changes(summary), summary.errors, len(told)) == ({"unreadable": 1, "unchanged": 3}, [], 1)
    update_index(index, [], model, options=UpdateOptions(on_error=told.append, again=True))
    assert len(told) == 2
    photo(bad, "yellow")
    later(bad)
    assert changes(update_index(index, [], model)) == {"changed": 1, "unchanged": 3}


def test_what_another_pillow_could_not_read_is_tried_again(index, folder, model, monkeypatch):
    bad_photo(folder / "bad.jpg")
    assert len(update_index(index, [], model).errors) == 1
    monkeypatch.setattr("blipvino.retrieval.update_work.reading_software", lambda: "pillow 99")
    assert len(update_index(index, [], model).errors) == 1
    assert len(update_index(index, [], model).errors) == 0


def test_a_photo_that_turns_bad_loses_its_vector(index, folder, model):
    bad_photo(folder / "a.png", b"")
    later(folder / "a.png")
    assert changes(update_index(index, [], model)) == {"unreadable": 1, "unchanged": 2}
    assert len(paths(index)) == 2


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root reads everything")
def test_what_may_not_be_read_stays_and_is_tried_again(index, folder, model):
    (folder / "deep").chmod(0)
    try:
        summary = update_index(index, [folder], model)
    finally:
        (folder / "deep").chmod(0o755)
    assert (len(summary.closed), summary.deleted, summary.photos) == (1, 0, 3)


def test_a_folder_that_cannot_be_listed_keeps_its_photos(index, folder, model, monkeypatch):
    scandir = os.scandir

    def refusing(path="."):
        if Path(path).name == "deep":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    summary = update_index(index, [folder], model)
    assert (len(summary.closed), summary.deleted, summary.photos, summary.unchanged) == (1, 0, 3, 2)
    assert "deep" in summary.closed[0]


def test_links_and_fifos_are_bad_photos_and_do_not_stop_the_rest(index, folder, model):
    (folder / "link.png").symlink_to("nowhere.png")
    os.mkfifo(folder / "fifo.png")
    summary = update_index(index, [], model)
    assert changes(summary) == {"unreadable": 2, "unchanged": 3}
    assert len(update_index(index, [], model).errors) <= 1


def test_names_of_any_bytes_are_indexed(index, folder, model):
    name = os.fsdecode(b"\xff\xfe'\"%;[*].png")
    photo(folder / name, "yellow")
    assert changes(update_index(index, [], model)) == {"new": 1, "unchanged": 3}
    assert changes(update_index(index, [], model)) == {"unchanged": 4}
    assert folder.resolve() / name in paths(index)


def test_a_folder_below_a_known_one_is_a_part_of_it(index, folder, model):
    photo(folder / "deep" / "d.png", "yellow")
    photo(folder / "e.png", "yellow", shade=3)
    (folder / "a.png").unlink()
    assert changes(update_index(index, [folder / "deep"], model)) == {"new": 1, "unchanged": 1}
    assert changes(update_index(index, [], model)) == {"new": 1, "deleted": 1, "unchanged": 3}


def test_a_folder_above_known_ones_takes_them_in(tmp_path, index, folder, model):
    photo(tmp_path / "other" / "x.png", "yellow")
    update_index(index, [tmp_path / "other"], model)
    assert changes(update_index(index, [tmp_path], model)) == {"unchanged": 4}
    with PhotoIndex(index) as opened:
        assert opened.roots() == [tmp_path.resolve()]
    assert model.embedded == 1


def test_one_folder_under_two_names_is_one(tmp_path, index, folder, model):
    (tmp_path / "link").symlink_to(folder)
    assert changes(update_index(index, [tmp_path / "link", folder / ".." / "photos"], model)) == {"unchanged": 3}


def test_a_file_is_no_folder(index, folder, model):
    with pytest.raises(RetrievalError, match="is a file; expected a folder, such as"):
        update_index(index, [next(folder.glob("*.png"))], model)


def test_an_emptied_folder_is_not_taken_for_deleted_photos(tmp_path, index, folder, model):
    photo(tmp_path / "other" / "x.png", "yellow")
    update_index(index, [tmp_path / "other"], model)
    folder.rename(folder.with_name("unplugged"))
    with pytest.raises(RetrievalError, match="no such folder"):
        update_index(index, [folder], model)
    photo(tmp_path / "other" / "y.png", "yellow", 1)
    summary = update_index(index, [], model)
    assert (changes(summary), len(summary.closed), summary.photos) == ({"new": 1, "unchanged": 1}, 1, 5)
    folder.mkdir()
    with pytest.raises(RetrievalError, match="not one of its 3 photos"):
        update_index(index, [tmp_path / "other", folder], model)
    summary = update_index(index, [], model)
    assert (changes(summary), len(summary.closed), summary.photos) == ({"unchanged": 2}, 1, 5)
    folder.rmdir()
    folder.with_name("unplugged").rename(folder)
    assert changes(update_index(index, [], model)) == {"unchanged": 5}


def test_a_folder_may_be_forgotten(index, folder, model):
    assert forget_folder(index, folder / "deep") == 1
    assert len(paths(index)) == 2
    assert forget_folder(index, folder) == 2
    assert paths(index) == []
    with pytest.raises(RetrievalError, match="has no photos of"):
        forget_folder(index, folder)
    assert sorted(path.name for path in folder.rglob("*.png")) == ["a.png", "b.png", "c.png"]


def test_an_empty_folder_makes_an_empty_index(tmp_path, model):
    (tmp_path / "empty").mkdir()
    summary = update_index(tmp_path / "index", [tmp_path / "empty"], model)
    assert (summary.photos, summary.unreadable) == (0, 0)
    with PhotoIndex(tmp_path / "index") as opened:
        assert opened.nearest(np.ones(4, np.float32), 3) == []


def test_the_second_writer_is_told_of_the_first(index, folder, model):
    code = (
        f"from pathlib import Path; from blipvino.retrieval.index_lock import writing\n"
        f"with writing(Path({str(index)!r})): print('held', flush=True); input()"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(RetrievalError, match=f"process {holder.pid} on .*, since 20.*is writing it"):
            update_index(index, [folder], model)
        assert len(paths(index)) == 3  # readers go on
        holder.kill()
        holder.wait()
        assert changes(update_index(index, [folder], model)) == {"unchanged": 3}
    finally:
        holder.kill()
        holder.communicate()


def test_writers_of_one_process_take_turns_too(index, folder, model):
    with writing(index), pytest.raises(RetrievalError, match=f"process {os.getpid()}"):
        update_index(index, [folder], model)


def test_another_bundle_is_refused(index, folder):
    with pytest.raises(RetrievalError, match=r"made by another bundle \(int8 of colors-checkpoint"):
        update_index(index, [folder], ColorEmbedder("others"))


def test_a_newer_index_is_refused(index, folder, model):
    manifest = json.loads((index / "index.json").read_text())
    (index / "index.json").write_text(json.dumps({"format": 2, "blipvino_version": "9.1", "new": manifest}))
    with pytest.raises(RetrievalError, match=r"blipvino 9.1 in format 2, this version reads 1: upgrade"):
        update_index(index, [folder], model)
    with pytest.raises(RetrievalError, match="upgrade"):
        PhotoIndex(index)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"format": "1"}', '{"format": 1, "width": 3}', "\xff"])
def test_a_damaged_manifest_is_named(index, content):
    (index / "index.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(RetrievalError, match=r"index\.json: cannot be read"):
        PhotoIndex(index)


@pytest.mark.parametrize("content", [b"", b"no database at all" * 100])
def test_damaged_records_are_named(index, folder, model, content):
    for file in index.glob("photos.sqlite*"):
        file.unlink()
    (index / "photos.sqlite").write_bytes(content)
    with pytest.raises(RetrievalError, match=r"photos\.sqlite"):
        PhotoIndex(index)
    with pytest.raises(RetrievalError, match=r"photos\.sqlite"):
        update_index(index, [folder], model)


def test_missing_records_are_named(index):
    (index / "photos.sqlite").unlink()
    with pytest.raises(RetrievalError, match=r"photos\.sqlite: is missing"):
        PhotoIndex(index)


def test_what_is_no_index_is_left_alone(tmp_path, folder, model):
    with pytest.raises(OutputError, match="already exists and is not an empty folder"):
        update_index(folder, [folder], model)
    with pytest.raises(RetrievalError, match="no such index"):
        PhotoIndex(tmp_path / "none")
    with pytest.raises(RetrievalError, match="is no index of photos"):
        PhotoIndex(folder)
    with pytest.raises(RetrievalError, match="no such folder"):
        update_index(tmp_path / "new", [folder, tmp_path / "none"], model)
    with pytest.raises(RetrievalError, match="no such index; give the folders"):
        update_index(tmp_path / "new", [], model)
    assert not (tmp_path / "new").exists()
    with pytest.raises(InputError):
        UpdateOptions(batch_size=0)


def test_an_index_may_lie_among_its_photos(folder, model):
    update_index(folder / "index", [folder], model)
    assert changes(update_index(folder / "index", [], model)) == {"unchanged": 3}


def test_a_model_that_makes_no_numbers_is_refused_and_nothing_kept(index, folder, model, monkeypatch):
    photo(folder / "new.png", "yellow")
    monkeypatch.setattr(model, "embed_images", lambda images: np.full((len(images), 4), np.nan, np.float32))
    with pytest.raises(RetrievalError, match="finite numbers"):
        update_index(index, [], model)
    assert len(paths(index)) == 3


def test_work_that_is_stopped_goes_on_where_it_was(tmp_path, folder, model):
    for shade in range(40):
        photo(folder / f"{shade}.png", "yellow", shade)
    embed, index = model.embed_images, tmp_path / "new-index"

    def stopping(images):
        if model.embedded >= 16:
            raise KeyboardInterrupt
        return embed(images)

    model.embed_images = stopping
    with pytest.raises(KeyboardInterrupt):
        update_index(index, [folder], model)
    assert len(paths(index)) == 16
    model.embed_images = embed
    summary = update_index(index, [folder], model)
    assert (summary.new, summary.unchanged, model.embedded) == (27, 16, 43)
