"""Words of what is measured, and what they are."""

from report_subjects import evaluation

from blipvino.measure.report.evaluation_tables import caption_table, evaluation_tables
from blipvino.measure.report.measured_words import words_in
from blipvino.text.tables import TextTable


def test_words_of_titles_columns_and_rows_are_explained():
    words = [word for word, _ in words_in(evaluation_tables(evaluation())).rows]
    assert words == ["VQA accuracy", "drop", "agreement", "CIDEr-D", "calibration error", "AURC"]


def test_words_that_are_not_shown_are_not_explained():
    plain = caption_table(evaluation(captions=()))
    assert [word for word, _ in words_in([plain]).rows] == ["agreement"]
    assert words_in([TextTable("Size", ("", "KB"), (("vision", "3"),))]).rows == ()
