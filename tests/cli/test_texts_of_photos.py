"""Captions of what folders, patterns and standard input name."""

import json
import os

import pytest
from command_line import refused, run


@pytest.fixture
def album(tmp_path, photos):
    """Three good scenes and a damaged one, in a folder whose names have bytes that are no UTF-8."""
    folder = tmp_path / "album"
    (folder / os.fsdecode(b"l\xe4rm")).mkdir(parents=True)
    (folder / "2.png").symlink_to(photos[1])
    (folder / "10.png").symlink_to(photos[2])
    (folder / "9.png").symlink_to(photos[0])  # damaged
    (folder / os.fsdecode(b"l\xe4rm/a.png")).symlink_to(photos[3])
    (folder / "2.txt").write_text("no image")
    return folder


def test_folders_patterns_and_standard_input(bundle, album, photos, blip):
    expected = {name: blip.caption(photos[number]) for name, number in (("2", 1), ("10", 2), ("lärm/a", 3))}
    process = run("caption", bundle, "album", code=3, cwd=album.parent, errors="surrogateescape", encoding="latin-1")
    assert process.stdout.splitlines() == [f"album/{name}.png: {text}" for name, text in expected.items()]
    assert "9.png: cannot be decoded" in process.stderr
    assert process.stderr.endswith("1 of 4 images could not be read\n")
    process = run("caption", bundle, "-", f"{album}/[12]*.png", "--jsonl", cwd=album, input="2.png\n\n10.png\n2.png\n")
    rows = [json.loads(line) for line in process.stdout.splitlines()]
    assert [(row["image"], row["caption"]) for row in rows] == [("2.png", expected["2"]), ("10.png", expected["10"])]


def test_lines_of_json_have_errors_and_names_of_any_bytes(bundle, album):
    rows = [json.loads(line) for line in run("ask", bundle, album, "red?", "--jsonl", code=3).stdout.splitlines()]
    names = [str(album / name) for name in ("2.png", "9.png", "10.png", os.fsdecode(b"l\xe4rm/a.png"))]
    assert [row["image"] for row in rows] == names
    assert ["error" in row for row in rows] == [False, True, False, False]
    assert {row["question"] for row in rows} == {"red?"}


def test_strict_ends_with_the_first_image_that_cannot_be_read(bundle, album):
    process = run("caption", bundle, album, "--strict", "--json", code=2)
    assert [row["image"] for row in json.loads(process.stdout)] == [str(album / "2.png")]
    assert process.stderr.count("\n") == 1 and "9.png: cannot be decoded" in process.stderr


def test_nothing_to_look_at(tmp_path):
    (tmp_path / "empty").mkdir()
    assert run("caption", "no bundle", "-", input="").stdout == ""
    assert "empty: no images in it" in run("caption", "no bundle", tmp_path / "empty", code=2).stderr
    assert "no image matches this pattern" in run("caption", "no bundle", f"{tmp_path}/*", code=2).stderr
    assert "give one of them" in str(refused("caption", "no bundle", "-", "--json", "--jsonl"))


def test_bad_lines_of_standard_input_are_told_and_passed_over(bundle, photo, tmp_path):
    first, second = tmp_path / "a.png", tmp_path / "b\nc.png"
    for copy in (first, second):
        copy.write_bytes(photo.read_bytes())
    lines = f"a\0b.jpg\n{'x' * 300}.jpg\n{first}\n"
    options = ("--sidecar", "txt", "--sidecar", "xmp", "--write-metadata", "--sidecar-name", "full", "--skip-existing")
    process = run("caption", bundle, "-", tmp_path, *options, code=3, input=lines, cwd=tmp_path)
    assert process.stderr.splitlines()[:2] == [
        "blipvino: a\\x00b.jpg: has a NUL in it; give one path a line (find without -print0)",
        f"blipvino: {'x' * 300}.jpg: no such image file: the name is too long for one",
    ]
    assert process.stderr.endswith("2 of 4 images could not be read\n")
    assert [line.split(": ")[0] for line in process.stdout.splitlines()] == [str(first), f"{tmp_path}/b\\nc.png"]
    assert second.with_name("b\nc.png.txt").is_file()
