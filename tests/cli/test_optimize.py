"""Making a bundle on the command line, and what is left of it when it is stopped."""

import resource
import signal
import subprocess
import sys
import time

import pytest
from command_line import run

from blipvino import optimize


def when_there(pattern, folder, process):
    """Wait until a path appears below a folder, while a process runs."""
    while not list(folder.glob(pattern)):
        assert process.poll() is None
        time.sleep(0.005)


@pytest.mark.parametrize(
    ("options", "moment"),
    [
        pytest.param(["--recipe", "none"], ".bundle.*.lock", marks=pytest.mark.slow),
        (["--recipe", "none"], ".bundle.*.partial/vision.xml"),
        pytest.param(["--samples", 20], ".bundle.*.partial/config.json", marks=pytest.mark.slow),
        pytest.param(
            ["--recipe", "auto", "--samples", 20, "--validation-samples", 20],
            ".bundle.*.search.*/graphs/*.xml",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_sigterm_leaves_nothing_and_what_a_kill_leaves_goes(options, moment, tmp_path):
    target = tmp_path / "bundle"
    command = [sys.executable, "-m", "blipvino", "optimize", "demo", "-o", target, "--quiet", *options]
    for number, status in ((signal.SIGTERM, 143), (signal.SIGKILL, -9)):
        process = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True)
        when_there(moment, tmp_path, process)
        process.send_signal(number)
        _, errors = process.communicate()
        assert process.returncode == status
        assert "Traceback" not in errors
        assert bool(list(tmp_path.iterdir())) == (number == signal.SIGKILL)
    run("optimize", "demo", "-o", target, "--recipe", "none", "--quiet")
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path):
    def limit_file_size():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

    process = run("optimize", "demo", "-o", tmp_path / "bundle", "--recipe", "none", code=2, preexec_fn=limit_file_size)
    assert "space" in process.stderr.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_words_are_explained_before_the_first_graph_is_made(tiny_vqa, tmp_path, capsys):
    optimize(tiny_vqa.folder, tmp_path / "bundle", recipe="none")
    lines = capsys.readouterr().err.splitlines()
    assert "Recipe none: the original in FP16, nothing quantized" in lines
    told = lines.index(
        "  question_kv: keys and values of the image, which reading a question attends to; once an image"
    )
    assert told < lines.index("question_kv: fp16")
    assert not any("match" in line for line in lines)  # of a graph that this checkpoint does not have
