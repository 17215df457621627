"""Images and questions as they are typed."""

import pytest
from command_line import refused

from blipvino.cli.image_texts import split_inputs


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        (["a.png", "b.png"], "no question after b.png"),
        (["a.png"], "no question after a.png"),
        (["a.png", "what is it?", "b.png"], "b.png is an image, but comes after a question"),
        (["a.png", "what is it?", "notes"], "notes is an image, but comes after a question"),
        (["a.png", "gone.JPEG", "what is it?", "gone.webp"], "gone.webp is an image"),
    ],
)
def test_images_and_questions_are_told_apart(inputs, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes").touch()
    refusal = str(refused("ask", "bundle", *inputs))
    assert says in refusal and 'such as a.jpg b.jpg "what is this?"' in refusal


def test_split_inputs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "no suffix").touch()
    split = split_inputs(["x", "no suffix", "gone.JPG", "how many?", "why " * 2500, "what.is.this"])
    assert split == (["x", "no suffix", "gone.JPG"], ["how many?", "why " * 2500, "what.is.this"])


def test_folders_patterns_and_standard_input_are_images(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "holidays").mkdir()
    (tmp_path / "holidays" / "a.png").touch()
    images = ["-", "holidays", "holidays/*", "gone/*.jpg", "**/a.png"]
    assert split_inputs([*images, "is it [really] red?"]) == (images, ["is it [really] red?"])
    assert "- is an image, but comes after" in str(refused("ask", "bundle", "a.png", "red?", "-"))
