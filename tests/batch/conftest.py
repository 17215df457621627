"""Pictures of the demo's world, as files and as bytes."""

from io import BytesIO

import pytest
from PIL import Image

from blipvino.demo.scenes import render, sample_scene


def picture(number):
    """The bytes of a PNG; another one for each number."""
    buffer = BytesIO()
    Image.fromarray(render(sample_scene("test", number))).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def photos(tmp_path):
    """A folder of twelve pictures, some in folders below, and a file that is none."""
    folder = tmp_path / "photos"
    for number in range(12):
        path = folder / f"{'abc'[number % 3]}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(number))
    (folder / "b" / "bad.png").write_bytes(b"no picture")
    return folder
