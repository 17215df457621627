"""Captions and answers kept beside photos and in them."""

import json
import shutil
import subprocess
import sys

import pytest
from command_line import refused, run
from PIL import Image

from blipvino.demo.scenes import render, sample_scene
from blipvino.files.beside import FileWriter
from blipvino.photos.photo_metadata import PhotoMetadata
from blipvino.photos.xmp import read_xmp


@pytest.fixture
def album(tmp_path):
    """Two scenes and a file that is no image."""
    folder = tmp_path / "album"
    folder.mkdir()
    for number, name in enumerate(("a.jpg", "b.png")):
        Image.fromarray(render(sample_scene("test", number + 1))).save(folder / name)
    (folder / "c.jpg").write_text("no image")
    return folder


def test_a_folder_is_described_once(bundle, album, blip):
    options = ("--sidecar", "txt", "--sidecar", "xmp", "--write-metadata", "--prefix", "sks, ")
    captions = {name: blip.caption(album / name) for name in ("a.jpg", "b.png")}
    first = run("caption", bundle, album, *options, "--jsonl", code=3)
    rows = [json.loads(line) for line in first.stdout.splitlines()]
    assert "error" in rows[2] and "written" not in rows[2]
    for row, (name, text) in zip(rows, captions.items(), strict=False):
        assert row["caption"] == text
        sidecar, photo = album / f"{name[0]}.txt", album / name
        assert row["written"] == [str(sidecar), str(album / f"{name}.xmp"), str(photo)]
        assert sidecar.read_text() == f"sks, {text}\n"
        assert read_xmp((album / f"{name}.xmp").read_bytes()).description == text
        assert PhotoMetadata(FileWriter()).has_description(photo)
    assert "blipvino: 6 files written\n" in first.stderr
    told = "2 images passed over, which had theirs\nblipvino: 1 of 1 other images could not be read\n"
    assert run("caption", bundle, album, *options, "--skip-existing", code=3).stderr.endswith(told)
    (album / "c.jpg").unlink()
    again = run("caption", "no bundle is needed", album, *options, "--skip-existing")
    assert (again.stdout, again.stderr) == ("", "blipvino: 0 files written, 2 images passed over, which had theirs\n")


def test_other_texts_are_kept_and_told(bundle, album):
    (album / "c.jpg").unlink()
    (album / "a.txt").write_text("by hand")
    process = run("ask", bundle, album, "is there a cross?", "--sidecar", "txt", code=3)
    assert "a.txt: has another text, and is left as it is; --overwrite replaces it" in process.stderr
    assert "the texts of 1 of 2 images were not written as asked" in process.stderr
    assert (album / "a.txt").read_text() == "by hand"
    answer = (album / "b.txt").read_text()
    assert process.stdout.splitlines()[1] == f"{album}/b.png: {answer.strip()}"
    process = run("ask", bundle, album / "a.jpg", "is there a cross?", "--sidecar", "txt", code=2)
    assert process.stderr.count("\n") == 1
    run("ask", bundle, album / "a.jpg", "is there a cross?", "--sidecar", "txt", "--overwrite")
    assert (album / "a.txt").read_text() != "by hand"


def test_contradictions_are_refused(album):
    both = ("--skip-existing", "--overwrite", "--sidecar", "txt")
    assert "give one of them" in str(refused("caption", "b", album, *both))
    assert "ask one question" in str(refused("ask", "b", album, "red?", "blue?", "--sidecar", "xmp"))
    assert "line break" in str(refused("caption", "b", album, "--sidecar", "txt", "--prefix", "a\nb"))
    shutil.rmtree(album)


def test_a_killed_run_is_gone_on_with(bundle, tmp_path, photos):
    for number in range(60):
        shutil.copy(photos[1], tmp_path / f"{number}.png")
    options = ("caption", str(bundle), str(tmp_path), "--sidecar", "txt", "--skip-existing", "--jsonl")
    process = subprocess.Popen([sys.executable, "-m", "blipvino", *options], stdout=subprocess.PIPE, text=True)
    first = json.loads(process.stdout.readline())
    process.kill()
    process.communicate()
    done = sorted(tmp_path.glob("*.txt"))
    assert {path.read_text() for path in done} == {f"{first['caption']}\n"}
    rows = [json.loads(line) for line in run(*options).stdout.splitlines()]
    assert {row["image"] for row in rows} == {
        str(tmp_path / f"{number}.png") for number in range(60) if tmp_path / f"{number}.txt" not in done
    }
    assert len(list(tmp_path.glob("*.txt"))) == 60
