"""The page of the documentation: each class of machine has a section, which runs of that class replace."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from speed_subjects import results

from benchmarks.performance_page import markers, update_page
from blipvino.errors import InputError, OutputError
from blipvino.machine.cpu_classes import TITLES
from blipvino.machine.record import this_machine
from blipvino.measure.race.speed_files import write_speed


@pytest.fixture
def page(tmp_path):
    """A page with a section for each class but the last, written by hand on a system with other line ends."""
    sections = (f"{begin}\r\nold\r\n{end}\r\n" for begin, end in map(markers, list(TITLES)[:-1]))
    (tmp_path / "performance.md").write_bytes("before\r\n{}after\r\n".format("".join(sections)).encode())
    return tmp_path / "performance.md"


def outside(page, machine_class):
    begin, end = (marker.encode() for marker in markers(machine_class))
    before, rest = page.read_bytes().split(begin)
    return before, rest.split(end)[1]


@pytest.mark.parametrize("machine_class", ["avx2", "avx512-vnni", "avx-vnni", "bf16"])
def test_a_run_replaces_the_section_of_its_class_and_no_other(page, machine_class):
    other = "bf16" if machine_class == "avx2" else "avx2"
    update_page(page, results(other))
    others = {path.name: path.read_bytes() for path in page.parent.glob("*.png")}
    kept = outside(page, machine_class)
    update_page(page, results(machine_class))
    assert outside(page, machine_class) == kept
    assert {name: (page.parent / name).read_bytes() for name in others} == others
    text = page.read_bytes().decode()
    section = text[slice(*map(text.index, markers(machine_class)))]
    assert f"## {TITLES[machine_class]}: {this_machine().cpu}, " in section and "Measured 2026-01-01." in section
    assert "old" not in section and "| vision | blipvino-int8 |" in section
    if importlib.util.find_spec("matplotlib"):
        assert f"performance-{machine_class}-latency.png" in section
        assert 5_000 < (page.parent / f"performance-{machine_class}-floor.png").stat().st_size < 60_000
    update_page(page, results(machine_class))
    assert page.read_bytes().decode() == text


def test_a_forced_run_is_labelled(page):
    update_page(page, results("avx2", limit="ONEDNN_MAX_CPU_ISA=AVX2"))
    assert "cores, forced by `ONEDNN_MAX_CPU_ISA=AVX2`" in page.read_text()
    assert "| instructions | limited by ONEDNN_MAX_CPU_ISA=AVX2 |" in page.read_text()


def test_a_page_without_a_place_for_the_class_is_refused_and_kept(page):
    before = page.read_bytes()
    with pytest.raises(OutputError, match="expected the lines <!-- speed:other:begin -->"):
        update_page(page, results("other"))
    with pytest.raises(InputError, match="give --class"):
        update_page(page, results(None, capabilities=("INT8",)))
    with pytest.raises(OutputError, match="cannot be read"):
        update_page(page.parent / "none.md", results())
    assert page.read_bytes() == before and not list(page.parent.glob("*.png"))


@pytest.mark.parametrize("machine_class", ["avx2", "avx512-vnni"])
@pytest.mark.parametrize("recorded", [True, False])
def test_the_command_puts_a_file_into_the_section_of_its_machine(page, monkeypatch, machine_class, recorded):
    found = results(machine_class)
    if not recorded:
        found = replace(found, machine=replace(found.machine, machine_class=None, capabilities=("FP32", "INT8")))
    write_speed(found, page.parent / "out")
    asked = [] if recorded else ["--class", machine_class]
    run_speed_command(monkeypatch, page, "--from-json", page.parent / "out" / "speed.json", *asked)
    assert page.read_text().count("### Targets") == 1
    assert f"## {TITLES[machine_class]}: " in page.read_text()


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        (None, ["--from-json"], "speed.json: cannot be read"),
        ("{}", ["--from-json"], "expected a speed.json that this benchmark wrote"),
        (None, ["--class", "avx2"], "--class is for --from-json"),
        (None, [], "expected the lines <!-- speed:"),  # before anything is measured
    ],
)
def test_the_command_refuses_in_one_line(tmp_path, monkeypatch, capsys, content, arguments, message):
    (tmp_path / "page.md").write_text("no markers")
    if content is not None:
        (tmp_path / "speed.json").write_text(content)
    if arguments == ["--from-json"]:
        arguments = ["--from-json", tmp_path / "speed.json"]
    with pytest.raises(SystemExit):
        run_speed_command(monkeypatch, tmp_path / "page.md", "--output", tmp_path, *arguments)
    assert message in capsys.readouterr().err.splitlines()[-1]


def run_speed_command(monkeypatch, page, *arguments):
    from benchmarks.speed import main as speed

    monkeypatch.setattr(sys, "argv", ["speed", "--page", str(page), *map(str, arguments)])
    speed()


def test_the_page_of_the_documentation_has_a_place_for_each_class():
    text = (Path(__file__).parents[2] / "docs" / "performance.md").read_text()
    places = [text.index(marker) for name in list(TITLES)[:-1] for marker in markers(name)]
    assert places == sorted(places)
