"""The training log as a table."""

import json

import pytest

from blipvino.errors import DataError
from training.curve import draw, markdown_table, read_log, share_limits

ENTRIES = [
    {"step": 50, "answer_loss": 2.0, "caption_loss": 1.0},
    {"step": 100, "answer_loss": 1.0, "caption_loss": 0.5, "validation": {"all": 0.5, "caption": 0.25, "color": 0.125}},
    {"step": 100, "answer_loss": 1.5, "caption_loss": 0.5, "validation": {"all": 0.75, "caption": 0.25, "color": 0.5}},
]


def test_of_a_step_that_was_repeated_the_last_counts(tmp_path):
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in ENTRIES))
    assert read_log(tmp_path / "log.jsonl") == [ENTRIES[0], ENTRIES[2]]


def test_the_table_has_a_line_for_every_validation():
    table = markdown_table([ENTRIES[0], ENTRIES[2]]).splitlines()
    assert table == [
        "| step | answer loss | caption loss | all | caption | color |",
        "|---|---|---|---|---|---|",
        "| 100 | 1.500 | 0.500 | 75.0% | 25.0% | 50.0% |",
    ]


def test_the_picture_is_drawn(tmp_path):
    draw([ENTRIES[0], ENTRIES[2]], tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (json.dumps(ENTRIES[0]), "nothing was validated yet"),
        ("", "nothing was validated yet"),
        ("no log", "not the log of a training"),
        ('{"loss": 1}', "not the log of a training"),
    ],
)
def test_a_log_without_accuracies_is_refused(text, reason, tmp_path):
    (tmp_path / "log.jsonl").write_text(text)
    with pytest.raises(DataError, match=reason):
        read_log(tmp_path / "log.jsonl")


def test_an_axis_of_shares_begins_where_they_do():
    assert share_limits(0.07)[0] == share_limits(0.94)[0] == 0
    assert share_limits(0.99)[0] == 0.95 and share_limits(0.99)[1] > 1
