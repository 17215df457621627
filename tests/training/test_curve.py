"""The training log as a table."""

import json

from training.curve import draw, markdown_table, read_log

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


def test_a_log_of_before_the_first_validation_has_losses_alone(tmp_path):
    assert markdown_table(ENTRIES[:1]).splitlines() == ["| step | answer loss | caption loss |", "|---|---|---|"]
    draw(ENTRIES[:1], tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 1000
