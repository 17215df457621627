"""Copies of bundles."""

import pytest

from blipvino import BundleError, open_bundle
from blipvino.bundle.copying import copy_bundle
from blipvino.errors import OutputError


def test_a_copy_is_the_same_bundle(compressed, tmp_path):
    (tmp_path / "copy").mkdir()
    copied = copy_bundle(compressed, tmp_path / "copy")
    assert open_bundle(tmp_path / "copy").fingerprint == compressed.fingerprint == copied.fingerprint
    assert copy_bundle(copied, tmp_path / "copy") is copied
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]


def test_a_copy_is_whole_or_not_at_all(compressed, tmp_path, monkeypatch):
    def full(source, target):
        if str(source).endswith("vision.bin"):
            raise OSError(28, "No space left on device", str(target))
        target.write_bytes(source.read_bytes())

    monkeypatch.setattr("blipvino.bundle.copying.shutil.copyfile", full)
    with pytest.raises(OutputError, match="No space left"):
        copy_bundle(compressed, tmp_path / "copy")
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_bundle_is_left_alone(compressed, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(BundleError, match="left alone"):
        copy_bundle(compressed, tmp_path)
    with pytest.raises(BundleError, match="not a folder"):
        copy_bundle(compressed, tmp_path / "no" / "where")
