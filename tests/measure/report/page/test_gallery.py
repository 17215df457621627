"""The report's sample pictures."""

from report_subjects import Page, answer_example, evaluation, report

from blipvino.data.demo import demo_sample
from blipvino.measure.evaluation.evaluation import CaptionExample, DataInfo
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


def test_pictures_have_the_names_of_their_files(tmp_path):
    (tmp_path / "beach").mkdir()
    demo_sample("test", 3).image().save(tmp_path / "beach/a ring.png")
    alike = (CaptionExample("beach/a ring.png", (), "a ring", "a ring"),)
    data = DataInfo(f"folder:{tmp_path}", "folder:photos", 1, 0, 1)
    said = evaluation(data=data, answer_examples=(), caption_examples=alike)
    found = find_examples(said, 42)
    assert [example.name for example in found] == ["beach/a ring.png"]
    page = Page(report_page(report(evaluation=said, examples=found)))
    assert "= Models agree beach/a ring.png Caption" in page.text


def test_examples_are_found_again_by_their_images():
    ids = [demo_sample("test", index).image_id for index in (3, 5)]
    examples = (answer_example(ids[0], "same?", "yes", "yes"), answer_example(ids[1], "other?", "yes", "no"))
    said = evaluation(answer_examples=examples, caption_examples=())
    found = find_examples(said, 42)
    assert [example.answers[0].question for example in found] == ["other?", "same?"]
    assert [example.name for example in found] == [f"image {ids[1]}", f"image {ids[0]}"]
    assert found[0].image.tobytes() == demo_sample("test", 5).image().convert("RGB").tobytes()
