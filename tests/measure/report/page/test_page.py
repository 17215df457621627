"""The report's page: its sections, what it leaves out, what it loads, and how it escapes."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from report_subjects import GRAPHS, HOSTILE, SEARCH, Page, answer_score, bundle, evaluation, report

from blipvino.graphs.terms import terms_table
from blipvino.measure.evaluation.evaluation import (
    AnswerExample,
    CaptionExample,
    DataInfo,
    EvaluateOptions,
)
from blipvino.measure.report.page.page import report_page
from blipvino.measure.report.report import Example


def test_the_page_has_every_section_in_its_order_and_in_the_contents():
    page = Page(report_page(report(bundle=bundle(SEARCH))))
    expected = [
        "summary",
        "samples",
        "accuracy",
        "confidence",
        "sizes",
        "latency",
        "search",
        "reproduce",
        "environment",
        "layers",
    ]
    assert page.sections == page.contents == expected
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == 1
    assert len(page.all("h2")) == len(expected)


def test_the_page_loads_nothing_and_runs_nothing():
    text = report_page(report())
    page = Page(text)
    assert not page.all("script")
    assert not page.all("link")
    for tag, attributes in page.tags:
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            assert attributes.get(name, "#").startswith(("#", "data:image/")), (tag, name)
    assert "url(" not in text
    assert "@import" not in text


def test_what_comes_from_data_is_escaped():
    example = AnswerExample(1, 1, HOSTILE, (HOSTILE,), HOSTILE, "no", 1.0, 0.0)
    caption = CaptionExample(1, (HOSTILE,), HOSTILE, "a cat")
    shown = Example(Image.new("RGB", (8, 8)), (example,), (caption,))
    scores = (answer_score("all", "all"), answer_score("question type", HOSTILE))
    text = report_page(
        report(
            bundle=bundle(source=HOSTILE, folder=Path(HOSTILE)),
            examples=(shown,),
            evaluation=evaluation(answers=scores, data=DataInfo(HOSTILE, HOSTILE, 1, 1, 1)),
        )
    )
    page = Page(text)
    assert not page.all("script")
    assert HOSTILE in page.text
    assert page.all("img")[0]["alt"].endswith(HOSTILE)


def test_tables_name_their_rows_and_columns():
    page = Page(report_page(report()))
    assert len(page.all("caption")) == len(page.all("table"))
    assert {heading["scope"] for heading in page.all("th")} == {"col", "row"}


def test_words_are_explained_where_they_are_shown_first():
    page = Page(report_page(report(bundle=bundle(SEARCH))))
    for word in (*GRAPHS, "ptq_int8", "weights_int8"):
        told = f"{word} {dict(terms_table(GRAPHS, [word]).rows)[word]}"
        assert page.text.index(told) < page.text.index("Search by accuracy"), word
    assert "FP16 is the original, its weights in 16-bit floats. int8 is this bundle, made by the recipe" in page.text
    assert page.text.index("Figures in brackets are 95% intervals") < page.text.index("VQA accuracy by")
    assert page.text.index("SQNR is the power") < page.text.index("Outputs beside the original's: SQNR")


def test_what_there_was_too_little_of_is_said():
    few = evaluation(options=EvaluateOptions(300, 100, 32), data=DataInfo("demo:test", "demo:test", 12, 12, 10))
    told = "demo:test has only 12 questions of the 300 asked for and only 10 images to caption of the 100 asked for"
    assert told in Page(report_page(report(evaluation=few))).text
    assert "has only" not in Page(report_page(report())).text


@pytest.mark.parametrize(
    ("changed", "missing"),
    [
        ({"diagnosis": None}, "layers"),
        ({"examples": ()}, "samples"),
        ({"cost": replace(report().cost, latencies=())}, "latency"),
        (
            {"evaluation": evaluation(answers=(), captions=(), data=DataInfo("demo:test", "demo:test", 20, 0, 0))},
            "accuracy",
        ),
    ],
)
def test_a_section_without_content_is_left_out_of_the_contents_too(changed, missing):
    page = Page(report_page(report(**changed)))
    whole = Page(report_page(report()))
    assert page.sections == page.contents == [name for name in whole.sections if name != missing]


def luminance(color):
    """Relative luminance (WCAG 2.2)."""
    channels = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1])
def test_texts_and_marks_stand_out_in_light_and_dark(theme):
    style = (Path(report_page.__code__.co_filename).parent / "report.css").read_text()
    colors = dict(re.findall(r"--([\w-]+): (#\w{6});", style.split(":root {")[1 + theme]))
    for ground in ("page", "panel"):
        assert all(contrast(colors[text], colors[ground]) >= 4.5 for text in ("ink", "muted", "link", "alert"))
        assert all(contrast(colors[mark], colors[ground]) >= 3 for mark in ("original", "compressed", "alert"))
    assert contrast(colors["alert"], colors["alert-soft"]) >= 4.5
