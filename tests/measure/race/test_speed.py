"""The speed benchmark as a whole: its options, the command on the demo model, and mistakes."""

import json
import subprocess
import sys

import pytest

from blipvino.cli.main import main
from blipvino.errors import InputError
from blipvino.measure.race.speed import SpeedOptions
from blipvino.measure.race.speed_results import SpeedResults


def test_bad_options():
    with pytest.raises(InputError, match="rounds is 0"):
        SpeedOptions(rounds=0)


@pytest.mark.slow
def test_the_command_on_the_demo_model_with_ours_alone(tmp_path):
    arguments = ["demo", "-o", tmp_path, "--quick", "--rounds", 2, "--contenders", "blipvino-none", "--quiet"]
    command = [sys.executable, "-m", "blipvino", "bench", *map(str, arguments), "--json"]
    process = subprocess.run(command, capture_output=True, text=True, check=True)
    found = SpeedResults.from_json(json.loads(process.stdout))
    assert found == SpeedResults.from_json(json.loads((tmp_path / "speed.json").read_text()))
    assert [(one.name, one.state) for one in found.entrants] == [("blipvino-none", "measured")]
    works = {one.work for one in found.series}
    assert works == {"first token", "caption", "first answer", "further answer", "parts"}
    assert set(found.find("parts", "blipvino-none").part_medians) >= {"vision", "question_kv", "question", "step"}
    assert process.stderr == ""
    page = (tmp_path / "speed.md").read_text()
    assert "Latency: caption, 20 tokens" in page and "Targets" not in page and "missed" not in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["demo", "--contenders", "tutorial"], "no contender 'tutorial'; expected one of transformers-fp32"),
        (["demo", "--recipes", "int2"], "no recipe 'int2'"),
        (["demo", "--rounds", "0"], "rounds is 0"),
        (["nowhere/at/all"], "nowhere/at/all"),
        (["demo-retrieval"], "demo-retrieval: BlipForImageTextRetrieval generates no texts"),
        (["demo", "--contenders", ","], "demo: no contender to race; none was named"),
    ],
)
def test_mistakes_are_one_line(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.setattr(sys, "argv", ["blipvino", "bench", *arguments, "-o", str(tmp_path), "--quiet"])
    with pytest.raises(SystemExit) as exit_info:
        main()
    error = capsys.readouterr().err
    assert exit_info.value.code == 2 and message in error and error.count("\n") == 1
