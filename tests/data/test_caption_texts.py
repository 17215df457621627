"""Captions in place of questions."""

from itertools import islice

from PIL import Image

from blipvino.checkpoint.architectures import QUESTION_ANSWERING, RETRIEVAL
from blipvino.data import DemoSource, Question, Sample, take
from blipvino.data.caption_texts import FALLBACK_CAPTIONS, CaptionTexts, read_by


class Source:
    """Three samples, of which one has captions."""

    name = "three"

    def samples(self, seed, limit):
        for number, captions in enumerate(((), ("a cat", "a black cat"), ())):
            question = Question("what is it?", number)
            yield Sample(number, lambda: Image.new("RGB", (8, 8)), (question,), captions)


def texts(samples):
    return [[question.text for question in sample.questions] for sample in samples]


def test_every_other_sample_begins_with_a_caption_of_the_one_before():
    found = list(CaptionTexts(Source()).samples(0, 3))
    first, third = FALLBACK_CAPTIONS[0], FALLBACK_CAPTIONS[2]
    assert texts(found) == [[first], [first, "a cat", "a black cat"], [third]]
    assert [sample.captions for sample in found] == [(), ("a cat", "a black cat"), ()]


def test_spread_over_images_half_of_the_texts_are_other_images():
    samples = take(read_by(RETRIEVAL, DemoSource("test")), 6, 0, spread=True)
    own = [sample.questions[0].text in sample.captions for sample in samples]
    assert own == [True, False, True, False, True, False]


def test_a_model_that_answers_reads_questions():
    source = DemoSource("test")
    assert read_by(QUESTION_ANSWERING, source) is source
    assert [sample.image_id for sample in islice(source.samples(0, 3), 3)] == [
        sample.image_id for sample in islice(read_by(RETRIEVAL, source).samples(0, 3), 3)
    ]
