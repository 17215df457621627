"""The command line as a program: its help, how mistakes are told and how it ends."""

import subprocess
import sys

import pytest
from command_line import run
from typer.testing import CliRunner

from blipvino import __version__
from blipvino.cli.main import app
from blipvino.machine.host import VARIABLE, choose_arithmetic
from blipvino.machine.versions import library_versions

VERBS = (
    *("optimize", "caption", "ask", "compare", "report", "evaluate", "diagnose"),
    *("bench", "stress", "selftest", "tune", "calibrate", "export", "info", "cache", "demo"),
    *("index", "search", "batch", "serve"),
)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb):
    assert "Example: blipvino " + verb in CliRunner().invoke(app, [verb, "--help"]).stdout


def test_help_lists_every_verb_in_order():
    listed = [line.split()[1] for line in run("--help").stdout.split("Commands")[1].splitlines() if line[2:3].isalpha()]
    assert tuple(listed) == VERBS


def test_the_version_comes_first_then_what_decides_what_is_computed_here():
    first, libraries, arithmetic = run("--version").stdout.splitlines()
    assert first == f"blipvino {__version__}"
    assert all(f"{name} {version}" in libraries for name, version in library_versions().items())
    assert libraries.startswith("Python ")
    assert arithmetic == choose_arithmetic().reason


def test_the_version_is_told_where_the_environment_is_wrong():
    told = CliRunner(env={VARIABLE: "int3"}).invoke(app, ["--version"])
    assert told.exit_code == 0
    assert VARIABLE in told.stdout.splitlines()[-1]


IMPORTED = """
import sys
from blipvino.cli.main import app
app(sys.argv[1:], standalone_mode=False)
libraries = {"nncf", "torch", "transformers", "datasets", "onnx", "onnxruntime", "matplotlib", "scipy", "pandas"}
floors = ("blipvino.measure", "blipvino.optimization", "blipvino.compress")
print(sorted(name for name in sys.modules if name in libraries or name.startswith(floors)), file=sys.stderr)
"""


@pytest.mark.parametrize("work", ["--help", "--version", "caption --help", "caption", "ask", "info"])
def test_light_work_imports_no_optimizer_and_nothing_that_measures(work, bundle, photo):
    arguments = {"caption": (bundle, photo), "ask": (bundle, photo, "is there a cross?"), "info": (bundle,)}
    command = [sys.executable, "-c", IMPORTED, *work.split(), *map(str, arguments.get(work, ()))]
    process = subprocess.run(command, capture_output=True, text=True, check=True)
    assert process.stdout
    assert process.stderr == "[]\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["info", "nowhere"], "no such folder"),
        (["info", "demo"], "demo is a checkpoint; optimize it first: blipvino optimize demo -o BUNDLE"),
        (["demo", "--samples", "0"], "samples is 0, expected at least 1"),
        (["optimize", "./nowhere", "-o", "out"], "nowhere"),
        (["optimize", "demo", "-o", "out", "--recipe", "int3"], "int8-int4"),
        (["optimize", "demo", "-o", "out", "--calibration", "nonsense:x"], "nonsense"),
    ],
)
def test_mistakes_are_one_line_and_status_2(arguments, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    process = run(*arguments, code=2)
    last = process.stderr.strip().splitlines()[-1]
    assert last.startswith("blipvino: ") and says in last
    assert "Traceback" not in process.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["optimize", "demo"], "Missing option '--output' / '-o'; `blipvino optimize --help` lists what there is"),
        (["caption"], "Missing argument 'bundle'; `blipvino caption --help`"),
        (["caption", "b", "a.png", "--num-beams", "x"], "'--num-beams'"),
        (["colour"], "No such command 'colour'"),
        (["--colour"], "No such option: --colour"),
    ],
)
def test_a_wrong_call_is_one_line_and_status_2(arguments, says):
    ended = CliRunner().invoke(app, arguments, prog_name="blipvino")
    assert (ended.exit_code, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    assert ended.stderr.startswith("blipvino: ") and says in ended.stderr


def test_a_file_whose_name_begins_as_an_option_does_is_told_how_to_be_named(tmp_path, monkeypatch):
    (tmp_path / "-dash.jpg").touch()
    monkeypatch.chdir(tmp_path)
    arguments = ["caption", "bundle", "-dash.jpg"]
    monkeypatch.setattr(sys, "argv", ["blipvino", *arguments])
    told = CliRunner().invoke(app, arguments, prog_name="blipvino").stderr
    assert told.startswith("blipvino: No such option: -d; the file of that name is ./-dash.jpg; `blipvino caption")


def test_without_a_verb_there_is_help():
    ended = CliRunner().invoke(app, [])
    assert "Commands" in ended.output and "lists what there is" not in ended.output


def test_debug_shows_the_traceback(tmp_path):
    assert "Traceback" in run("--debug", "info", tmp_path / "nowhere", code=1).stderr


@pytest.mark.parametrize("debug", [False, True])
def test_ctrl_c_is_one_line_and_status_130(debug, monkeypatch):
    def interrupt(_folder):
        raise KeyboardInterrupt

    monkeypatch.setattr("blipvino.cli.info.open_bundle", interrupt)
    ended = CliRunner().invoke(app, [*(["--debug"] if debug else []), "info", "bundle"])
    assert ended.exit_code == 130
    assert ended.stderr.splitlines()[-1] == "blipvino: interrupted"
    assert ("Traceback" in ended.stderr) is debug
    assert debug or ended.stderr.count("\n") == 1


def test_an_interrupt_while_libraries_are_imported_is_one_line():
    """As a Ctrl-C in the first second is; the import that it comes in is made to raise it."""
    interrupting = (
        "import builtins, runpy, sys\n"
        "original = builtins.__import__\n"
        "def interrupted(name, *args, **kwargs):\n"
        "    if name.startswith('openvino'):\n"
        "        raise KeyboardInterrupt\n"
        "    return original(name, *args, **kwargs)\n"
        "builtins.__import__ = interrupted\n"
        "sys.argv = ['blipvino', '--help']\n"
        "runpy.run_module('blipvino', run_name='__main__')\n"
    )
    process = subprocess.run([sys.executable, "-c", interrupting], capture_output=True, text=True, check=False)
    assert (process.returncode, process.stdout, process.stderr) == (130, "", "blipvino: interrupted\n")
