"""Galleries: images whose captions tell them apart, and claims about them."""

import numpy as np
import pytest
from PIL import Image

from blipvino import DataError
from blipvino.data import DemoSource, Sample
from blipvino.data.claims import OTHER, OWN
from blipvino.demo.contrasts import CONTRAST_TYPES
from blipvino.demo.scenes import sample_scene
from blipvino.measure.recall.text_gallery import choose_gallery


class Source:
    """Images with given captions."""

    name = "given"

    def __init__(self, *captions):
        self._captions = captions

    def samples(self, seed, limit):
        for number, captions in enumerate(self._captions):
            yield Sample(number, lambda: Image.new("RGB", (8, 8)), captions=captions)


def test_images_whose_caption_was_seen_are_passed_over():
    source = Source(("a cat", "A Cat ", "two cats"), ("A CAT",), (), (" ",), ("a dog",), ("a bird",))
    gallery = choose_gallery(source, 10, 5, 0)
    assert [sample.image_id for sample in gallery.samples] == [0, 4, 5]
    assert gallery.texts == ["A Cat ", "two cats", "a dog", "a bird"]
    np.testing.assert_array_equal(gallery.owners, [0, 0, 1, 2])


def test_so_many_images_and_texts_are_chosen():
    source = Source(*((f"a {number}", f"b {number}") for number in range(9)))
    gallery = choose_gallery(source, 4, 1, 0)
    assert gallery.texts == ["a 0", "a 1", "a 2", "a 3"]


def test_captions_are_claims_about_their_image_and_about_another():
    gallery = choose_gallery(Source(*((f"a {number}",) for number in range(9))), 9, 1, 0)
    for sample, claims in zip(gallery.samples, gallery.claims, strict=True):
        assert [(claim.holds, claim.kind) for claim in claims] == [(True, OWN), (False, OTHER)]
        assert claims[0].text == sample.captions[0] != claims[1].text


def test_the_demo_has_claims_that_differ_by_a_word():
    gallery = choose_gallery(DemoSource("test"), 20, 1, 0)
    assert len(set(gallery.texts)) == len(gallery.samples) == 20
    kinds = {claim.kind for claims in gallery.claims for claim in claims}
    assert kinds == set(CONTRAST_TYPES)
    for sample, claims in zip(gallery.samples, gallery.claims, strict=True):
        assert [claim.holds for claim in claims] == [True, False] * (len(claims) // 2)
        objects = sample_scene("test", sample.image_id).objects
        colors = [claim for claim in claims if claim.kind == "color"]
        assert all(item.color in colors[0].text for item in objects) or not colors


@pytest.mark.parametrize("captions", [(), (("a cat",),), (("a cat",), ("a cat",))])
def test_too_few_images_with_captions_are_refused(captions):
    with pytest.raises(DataError, match=r"given: \d images with captions of their own.*coco:CAPTIONS"):
        choose_gallery(Source(*captions), 10, 1, 0)
