"""The trainer's commands: what they refuse, in one line, and what they tell of themselves."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from blipvino.checkpoint.architectures import QUESTION_ANSWERING, RETRIEVAL
from blipvino.demo import CHECKPOINT, RETRIEVAL_CHECKPOINT
from blipvino.errors import CheckpointError
from training import packed_accuracy, retrieval_accuracy, train, train_retrieval
from training.command_line import attribute_texts, checkpoint_folder, positive, run_command
from training.plan import RetrievalPlan, TrainingPlan

ROOT = Path(__file__).parents[2]


def ended(module, *arguments, monkeypatch, capsys):
    """The status that a command ends with, and its lines on standard error."""
    monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        run_command(module.main)
    return end.value.code, capsys.readouterr().err.splitlines()


@pytest.mark.parametrize(
    ("module", "arguments", "expected"),
    [
        (train, ["--batch", 0], "batch is 0, expected at least 1"),
        (train, ["--workers", -1], "workers is -1, expected at least 0"),
        (train_retrieval, ["nowhere"], "nowhere: no such folder"),
        (train_retrieval, ["demo", "--batch", 1], "batch is 1, expected at least 2"),
    ],
)
def test_a_training_that_cannot_be_is_refused(module, arguments, expected, tmp_path, monkeypatch, capsys):
    status, lines = ended(module, tmp_path / "run", *arguments, monkeypatch=monkeypatch, capsys=capsys)
    assert status == 2 and len(lines) == 1 and lines[0].startswith(expected)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("module", "arguments", "expected"),
    [
        (retrieval_accuracy, ["demo-retrieval", "--pictures", 0], "argument --pictures: '0' is no number of 1 or more"),
        (packed_accuracy, ["demo", "--scenes", 0], "argument --scenes: '0' is no number of 1 or more"),
        (packed_accuracy, ["demo-retrieval"], "demo-retrieval: a BlipForImageTextRetrieval, expected a BlipForQ"),
        (retrieval_accuracy, ["demo"], "demo: a BlipForQuestionAnswering, expected a BlipForImageTextRetrieval"),
    ],
)
def test_a_measurement_that_cannot_be_is_refused(module, arguments, expected, monkeypatch, capsys):
    status, lines = ended(module, *arguments, monkeypatch=monkeypatch, capsys=capsys)
    assert status == 2 and expected in lines[-1]


def test_a_command_has_no_traceback():
    command = [sys.executable, "-m", "training.retrieval_accuracy", "nowhere"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1


def test_ctrl_c_is_one_line(capsys):
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as end:
        run_command(interrupted)
    assert (end.value.code, capsys.readouterr().err) == (130, "interrupted\n")


def test_embedded_checkpoints_have_names():
    assert checkpoint_folder("demo", QUESTION_ANSWERING) == CHECKPOINT
    assert checkpoint_folder("demo-retrieval", RETRIEVAL) == RETRIEVAL_CHECKPOINT
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        checkpoint_folder(str(ROOT / "tests"), RETRIEVAL)


def test_a_count_is_one_or_more():
    assert positive("12") == 12


@pytest.mark.parametrize("module", [train, train_retrieval, packed_accuracy, retrieval_accuracy])
def test_every_argument_is_explained(module, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["command", "--help"])
    with pytest.raises(SystemExit):
        module.main()
    told = re.split(r"\n  (?=\S)", capsys.readouterr().out.split("positional arguments:")[1])[1:]
    assert len(told) >= 3
    for each in told:
        assert len(each.split()) > 3, each


def test_fields_are_explained_by_their_docstrings():
    for kind in (TrainingPlan, RetrievalPlan):
        assert attribute_texts(kind)["warmup"] == "steps in which the learning rate rises."
    assert attribute_texts(TrainingPlan)["curriculum"].endswith("from one to four.")
