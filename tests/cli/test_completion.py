"""What shells are offered: asked as they ask, by the environment."""

import os
import shutil
import subprocess
import sys

import pytest
from command_line import run

from blipvino.cli.main import main
from blipvino.measure.race.contenders import find_contenders


@pytest.fixture
def complete(monkeypatch, capsys):
    """What bash is offered for the last word of a line; "" where a new one begins."""

    def complete(*words):
        monkeypatch.setenv("_BLIPVINO_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", " ".join(["blipvino", *words]))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 0
        return capsys.readouterr().out.split()

    return complete


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["ca"], ["caption", "calibrate", "cache"]),
        (["caption", "b", "--pre"], ["--precision", "--prefix"]),
        (["optimize", "demo", "--recipe", ""], ["int8", "int8-int4", "minmax", "none", "auto"]),
        (["demo", "--recipe", "int8-"], ["int8-int4"]),
        (["optimize", "demo", "--decide-by", ""], ["estimate", "bound"]),
        (["optimize", "demo", "--calibration", "f"], ["folder:"]),
        (["optimize", "demo", "--calibration", "a"], ["auto"]),
        (["optimize", "demo", "--calibration", "n"], ["natural"]),
        (["optimize", "demo", "--validation", "v"], ["vqav2:"]),
        (["caption", "b", "--arithmetic", ""], ["auto", "int8", "int7", "float", "simulated", "simulated-int7"]),
        (["ask", "b", "--precision", "b"], ["bf16"]),
        (
            ["compare", "b", "--data", ""],
            ["demo:train", "demo:validation", "demo:test", "natural", "vqav2:", "coco:", "folder:", "hf:"],
        ),
        (["report", "b", "--data", "h"], ["hf:"]),
        (["export", "b", "--precision", ""], ["fp32", "fp16", "int8"]),
        (["export", "b", "--format", ""], ["onnx", "openvino"]),
        (["evaluate", "b", "--data", "demo"], ["demo:train", "demo:validation", "demo:test"]),
        (["diagnose", "b", "--data", "c"], ["coco:"]),
        (["bench", "demo", "--recipes", "none,int8"], ["none,int8", "none,int8-int4"]),
        (
            ["bench", "demo", "--contenders", "tutorial-int8,t"],
            ["transformers-fp32", "transformers-bf16", "tutorial-fp16"],
        ),
    ],
)
def test_what_is_offered(words, offered, complete):
    before = "tutorial-int8," if "--contenders" in words else ""
    assert complete(*words) == [before + value for value in offered]


def test_every_contender_that_is_offered_can_be_named(complete, monkeypatch):
    monkeypatch.setattr("blipvino.measure.race.contenders.find_spec", lambda _name: "installed")
    offered = complete("bench", "demo", "--contenders", "")
    assert [one.name for one in find_contenders(offered, None)] and len(find_contenders(offered, None)) == len(offered)


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_script_that_is_shown_works_in_bash(tmp_path):
    # Else typer looks for a shell among the processes that this one was started by, of which there may be none.
    environment = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    script = run("--show-completion", "bash", env=environment).stdout
    program = tmp_path / "blipvino"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m blipvino "$@"\n')
    program.chmod(0o755)
    typed = f'COMP_WORDS=("{program}" optimize demo --recipe m)\nCOMP_CWORD=4'
    asked = f'{script}\n{typed}\n_blipvino_completion "{program}"\necho "${{COMPREPLY[@]}}"'
    shell = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=True)
    assert shell.stdout == "minmax\n"
