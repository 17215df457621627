"""Best-of-N: of several captions that are drawn, the one that fits the image best."""

import numpy as np
import pytest
from subjects import scene_image

from blipvino import BestCaption, ImageError, InputError, best_captions

IMAGES = [scene_image(index) for index in range(5)]
DRAWING = {"max_new_tokens": 6, "seed": 4}


class Favouring:
    """A matcher to which longer texts fit better; it remembers what it was asked."""

    def __init__(self):
        self.asked = []

    def match(self, image, texts):
        self.asked.append((image, list(texts)))
        return np.array([1 - 1 / len(text) for text in texts], np.float32)


class Indifferent:
    """A matcher to which all fit alike."""

    def match(self, image, texts):
        return np.full(len(texts), 0.5, np.float32)


def test_the_best_is_the_one_that_fits_best(tiny_captioner):
    matcher = Favouring()
    found = list(best_captions(tiny_captioner.exact, matcher, IMAGES, best_of=6, **DRAWING))
    assert len(found) == len(IMAGES)
    for best, image, (seen, texts) in zip(found, IMAGES, matcher.asked, strict=True):
        assert isinstance(best, BestCaption)
        assert seen is image
        assert [made.text for made in best.candidates] == texts
        assert 1 < len(texts) == len(set(texts)) <= 6
        assert len(best.best.text) == max(map(len, texts))
        assert best.match == max(best.matches)


def test_of_those_that_fit_as_well_the_likeliest_is_taken(tiny_captioner):
    for best in best_captions(tiny_captioner.exact, Indifferent(), IMAGES, best_of=6, **DRAWING):
        assert best.best.logprob == max(made.logprob for made in best.candidates)


def test_more_of_them_are_never_worse_and_no_batch_changes_them(tiny_captioner):
    def draw(best_of, batch_size=8, images=IMAGES):
        found = best_captions(
            tiny_captioner.exact, Favouring(), images, best_of=best_of, batch_size=batch_size, **DRAWING
        )
        return list(found)

    few, many = draw(2), draw(12)
    assert all(more.match >= less.match for less, more in zip(few, many, strict=True))
    assert sum(more.match for more in many) > sum(less.match for less in few)
    assert draw(3, batch_size=1) == draw(3, batch_size=4) == draw(3)
    assert draw(3, images=iter(IMAGES[:2])) == draw(3)[:2]


class Arriving:
    """Images of which none arrives before the caption of the one before it is taken."""

    def __init__(self, images):
        self.images = iter(images)
        self.waits = True

    def has_arrived(self):
        return not self.waits

    def __iter__(self):
        return self

    def __next__(self):
        assert not self.waits, "it is waited for while there are captions to be made"
        self.waits = True
        return next(self.images)


def test_a_caption_does_not_wait_for_the_next_image(tiny_captioner):
    expected = best_captions(tiny_captioner.exact, Favouring(), IMAGES, best_of=2, **DRAWING)
    arriving = Arriving(IMAGES)
    found = best_captions(tiny_captioner.exact, Favouring(), arriving, best_of=2, **DRAWING)
    for best in expected:
        arriving.waits = False
        assert next(found).best.text == best.best.text
    arriving.waits = False
    assert next(found, None) is None


def test_a_prompt_begins_them_all(tiny_captioner):
    (found,) = best_captions(tiny_captioner.exact, Favouring(), IMAGES[:1], prompt="a large red", **DRAWING)
    assert all(made.text.startswith("a large red") for made in found.candidates)


def test_the_best_is_blank_where_it_is_not_sure_enough(tiny_captioner):
    (found,) = best_captions(tiny_captioner.exact, Favouring(), IMAGES[:1], min_confidence=1.0, **DRAWING)
    assert (found.best.text, found.best.withheld) == ("", True)
    assert any(made.text for made in found.candidates)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"best_of": 0}, "best_of is 0"),
        ({"best_of": "many"}, "best_of is 'many'"),
        ({"do_sample": False}, "do_sample is False"),
        ({"num_beams": 2}, "num_beams above 1"),
        ({"min_confidence": 2}, "min_confidence is 2"),
        ({"unknown": 1}, "unknown option"),
        ({"batch_size": 0}, "batch_size is 0"),
    ],
)
def test_what_is_not_allowed_is_refused_before_any_work(tiny_captioner, options, message):
    with pytest.raises(InputError, match=message):
        best_captions(tiny_captioner.exact, Favouring(), IMAGES, **options)


def test_features_and_spoilt_images_are_refused_when_their_turn_comes(tiny_captioner, tmp_path):
    blip = tiny_captioner.exact
    with pytest.raises(InputError, match="give the image itself"):
        list(best_captions(blip, Favouring(), [blip.features(IMAGES[0])], **DRAWING))
    (tmp_path / "bad.png").write_bytes(b"no image")
    stream = best_captions(blip, Favouring(), [IMAGES[0], tmp_path / "bad.png"], batch_size=1, best_of=2, **DRAWING)
    next(stream)
    with pytest.raises(ImageError):
        next(stream)
