"""The report's sample pictures."""

from report_subjects import Page, answer_example, evaluation, report

from blipvino.data.demo import demo_sample
from blipvino.measure.report.page.gallery import find_examples
from blipvino.measure.report.page.page import report_page


def test_disagreements_are_marked_in_words_and_right_answers_told_from_wrong():
    page = Page(report_page(report()))
    assert page.text.index("≠ Models differ") < page.text.index("= Models agree")
    told = page.text[page.text.index("≠ Models differ") : page.text.index("= Models agree")]
    assert "is it red?" in told
    assert "yes ✓ right" in told
    assert "no ✗ wrong" in told
    assert all(image["alt"] for image in page.all("img"))
    assert "The models say different things of 1 of these 2 pictures" in page.text


def test_examples_are_found_again_by_their_images():
    ids = [demo_sample("test", index).image_id for index in (3, 5)]
    examples = (answer_example(ids[0], "same?", "yes", "yes"), answer_example(ids[1], "other?", "yes", "no"))
    said = evaluation(answer_examples=examples, caption_examples=())
    found = find_examples(said, 42)
    assert [example.answers[0].question for example in found] == ["other?", "same?"]
    assert found[0].image.tobytes() == demo_sample("test", 5).image().convert("RGB").tobytes()
