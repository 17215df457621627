"""The report's section on accuracy."""

from dataclasses import replace

from report_subjects import SEARCH, Page, bundle, evaluation, report

from blipvino.measure.evaluation.evaluation import (
    DataInfo,
)
from blipvino.measure.report.page.page import report_page


def test_the_limit_is_that_of_the_search():
    assert "limit of 0.7 points that this bundle" in report_page(report(bundle=bundle(SEARCH)))


def test_a_captioner_has_captions_alone():
    said = evaluation(answers=(), answer_examples=(), data=DataInfo("photos", "photos", 10, 0, 10), captions=())
    page = Page(report_page(report(evaluation=said, examples=())))
    assert "no reference captions" in page.text
    assert "Captions, % agreement captions 98.0 [97.0, 99.0]" in page.text.replace("\xa0", " ")
    assert "Same captions" in page.text
    told = page.text[page.text.index("Accuracy photos has no questions.") + 33 : page.text.index("Figures in brackets")]
    assert "questions" not in told


def test_questions_without_known_answers_have_agreement_alone():
    scores = tuple(replace(row, original=None, compressed=None, drop=None) for row in evaluation().answers)
    page = Page(report_page(report(evaluation=evaluation(answers=scores))))
    assert "Agreement by answer type" in page.text
    assert "what is right is not known" in page.text
    assert "Accuracy drop" not in page.text
