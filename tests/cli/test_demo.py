"""What the demo prints."""

import json

import pytest
from report_subjects import timed
from rich.console import Console
from typer.testing import CliRunner

from blipvino.cli import demo_run, output
from blipvino.cli.main import app
from blipvino.errors import OutputError
from blipvino.measure.race import full_size


@pytest.fixture
def demo_output(monkeypatch, tmp_path):
    """Runs `blipvino demo` on figures of this file, so many columns wide, with what the timing gives or raises."""

    def run_it(found, *options, columns=80):
        def timing(_folder, _reporter):
            if isinstance(found, Exception):
                raise found
            return found

        said = demo_run.DemoSample("out/scene-2.png", "a large red ring", "what size is the ring?", "large")
        made = demo_run.DemoRun((said,), timed(0.97), tmp_path / "report.html")
        monkeypatch.setattr(demo_run, "run_demo", lambda *_arguments, **_options: made)
        monkeypatch.setattr(full_size, "time_full_size", timing)
        monkeypatch.setattr(output, "console", Console(width=columns))
        return CliRunner().invoke(app, ["demo", "-o", str(tmp_path), *options])

    return run_it


FULL_SIZE = full_size.FullSize(
    full_size.Measured("FP16", 447_954_284, 1.2, 0.5, 900_000_000),
    full_size.Measured("int8", 225_000_000, 0.8, 0.4, 600_000_000),
    *(223_900_000, 20, 6, "float", "Float arithmetic with 8-bit weights: a CPU"),
)


@pytest.mark.parametrize("columns", [80, 120])
def test_the_demo_says_in_words_that_its_own_model_is_as_fast_and_shows_the_full_size(demo_output, columns):
    printed = demo_output(FULL_SIZE, columns=columns).stdout
    words = " ".join(printed.split())
    assert "captions an image about as fast as the original and answers" in words
    assert "too small to gain speed from 8 bits" in words
    assert words.index("Figures in brackets are 95% intervals.") < words.index("[")
    assert "0.97" not in words
    assert "BLIP-base, random weights: speed and size depend on shapes alone." in words
    assert "Float arithmetic with 8-bit weights: a CPU" in words
    row = next(line for line in printed.splitlines() if "caption, 20 tokens" in line)
    assert [cell.strip() for cell in row.split("│")[2:5]] == ["1,200 ms", "800 ms", "1.50"]
    told = [line for line in printed.splitlines() if not line.startswith("Report: ")]
    assert max(map(len, told)) <= columns


def test_the_demos_json_has_the_latencies_and_the_full_size(demo_output):
    content = json.loads(demo_output(FULL_SIZE, "--json").stdout)
    assert content["latencies"][0]["speed_up"] == 0.97
    assert content["full_size"]["speed_up"] == pytest.approx(1.5)
    assert content["full_size"]["model"] == "BLIP-base, random weights"
    assert json.loads(demo_output(FULL_SIZE, "--json", "--no-full-size").stdout)["full_size"] is None


def test_a_machine_without_room_for_the_full_size_has_its_demo_all_the_same(demo_output):
    shown = demo_output(OutputError("out: 1.3 GB needed for the time, 0.5 GB free"))
    assert shown.exit_code == 0
    assert "a large red ring" in shown.stdout
    assert "Full size" not in shown.stdout
    assert "blipvino: not timed at full size: out: 1.3 GB needed for the time, 0.5 GB free" in shown.stderr
