"""An evaluation as tables."""

from dataclasses import replace

from blipvino.measure.report.evaluation_tables import evaluation_tables, interval
from blipvino.metrics.bootstrap import Estimate


def test_intervals_are_rounded_to_no_negative_zero():
    assert interval(Estimate(-0.00001, -0.25, 0.125)) == "0.00 [-25.00, 12.50]"
    assert interval(Estimate(4.2, 3.0, 5.0), 1) == "420.0 [300.0, 500.0]"
    assert interval(None) == ""


def test_tables_show_intervals(done):
    evaluation, _ = done
    tables = {table.title: table for table in evaluation_tables(evaluation)}
    whole = evaluation.answers[0].original
    cell = f"{100 * whole.value:.2f} [{100 * whole.low:.2f}, {100 * whole.high:.2f}]"
    assert tables["VQA accuracy by answer type, %"].rows[0][2] == cell
    assert tables["VQA accuracy by answer type, %"].columns[2:] == ("FP16", "int8-int4")
    assert [row[0] for row in tables["Captions: metrics × 100"].rows][-2:] == ["CIDEr-D", "agreement"]
    alone = [table.title for table in evaluation_tables(replace(evaluation, original=None))]
    assert not any("original" in title for title in alone)
    assert all(len(row) == len(table.columns) for table in evaluation_tables(evaluation) for row in table.rows)
