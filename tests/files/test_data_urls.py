import base64
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from blipvino.files.data_urls import jpeg_url


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P"])
def test_a_picture_is_a_jpeg_no_larger_than_asked(mode):
    image = Image.new(mode, (300, 100))
    head, _, encoded = jpeg_url(image, (60, 60), 90).partition(",")
    shown = Image.open(BytesIO(base64.b64decode(encoded)))
    assert (head, shown.format, shown.size, image.size) == ("data:image/jpeg;base64", "JPEG", (60, 20), (300, 100))


def test_a_small_picture_keeps_its_size_and_colours():
    encoded = jpeg_url(Image.new("RGB", (20, 10), "red"), (60, 60), 90).partition(",")[2]
    shown = np.asarray(Image.open(BytesIO(base64.b64decode(encoded)))).astype(int)
    assert shown.shape == (10, 20, 3)
    assert abs(shown - [255, 0, 0]).max() <= 4
