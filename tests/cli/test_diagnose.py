"""The command that diagnoses."""

import json

from typer.testing import CliRunner

from blipvino.cli.main import app
from blipvino.measure.diagnosis.diagnosis import Diagnosis
from blipvino.measure.report.charts.layer_chart import layer_chart


def test_the_command(tiny_int8, tmp_path):
    said = CliRunner().invoke(
        app, ["diagnose", str(tiny_int8), "--samples", "2", "--worst", "3", "-o", str(tmp_path / "d"), "--quiet"]
    )
    assert said.exit_code == 0, said.output
    assert "SQNR is the power of the signal" in said.stdout and "post-training quantization" in said.stdout
    assert "Most noise comes from " in said.stdout and "The worst 3 of" in said.stdout
    read = Diagnosis.from_json(json.loads((tmp_path / "d" / "diagnosis.json").read_text()))
    assert read.bundle == str(tiny_int8)
    assert (tmp_path / "d" / "diagnosis.svg").read_text() == layer_chart(read) + "\n"
