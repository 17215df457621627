"""Making outliers on the command line."""

from typer.testing import CliRunner

from blipvino.cli.main import app


def test_what_was_made_is_said_in_a_line(tmp_path):
    folder = tmp_path / "hard"
    printed = CliRunner().invoke(app, ["stress", "demo", "-o", str(folder), "--factor", "8", "--no-values"]).stdout
    assert printed.startswith(f"{folder}: 4 channels of each of ") and printed.endswith(" 8 times larger\n")
    assert (folder / "model.safetensors").is_file()
