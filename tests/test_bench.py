"""The speed benchmark: who runs when, what is counted, what the floors are, and what comes of failures. No timings."""

import importlib.util
import json
import os
import subprocess
import sys
import time
import tomllib
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from blipvino.bench import sizes
from blipvino.bench.contenders import find_contestants
from blipvino.bench.floor import cross_kv_values, floors, vision_macs
from blipvino.bench.inputs import SIZE, picture, question
from blipvino.bench.machine import this_machine
from blipvino.bench.peaks import PeakSizes, matmul_peak, measure_peaks
from blipvino.bench.race import Pace, Race
from blipvino.bench.results import DiskSize, Entrant, Launch, ModelFacts, Peaks, Series, SpeedResults
from blipvino.bench.speed import SpeedOptions
from blipvino.bench.targets import TARGETS, evaluate
from blipvino.bench.work import Task, Work, perform, plan
from blipvino.bench.worker import ContenderError, Worker, run_apart
from blipvino.cli import main
from blipvino.config import TextConfig, VisionConfig
from blipvino.errors import InputError, OutputError
from blipvino.report.speed import speed_tables
from blipvino.report.speed_files import BEGIN, END, update_page
from blipvino.report.tables import markdown

CAPTION = Work("caption", "caption", 1, 2)


class Fake:
    """Writes down each call with the time, by a clock that all processes share."""

    def __init__(self, name, log, fault=""):
        self.name, self.log, self.fault, self.calls = name, log, fault, 0

    def caption(self, images, new_tokens):
        self.calls += 1
        with self.log.open("a") as file:
            file.write(f"{time.monotonic_ns()} {self.name} {len(images)} {os.getpid()}\n")
        if self.calls == 2 and self.fault == "raise":
            raise ValueError("no more\nof this")
        if self.calls == 2 and self.fault == "die":
            os._exit(7)
        return [[0] * (new_tokens - (self.fault == "short"))] * len(images)

    def answer(self, images, questions, new_tokens):
        return [[1] * new_tokens for _ in questions]

    def meet(self, image):
        self.met = image

    def answer_again(self, question, new_tokens):
        assert self.met is not None
        return [[2] * new_tokens]

    def graph_seconds(self, image, question):
        return {"vision": 1.0, "step": 0.5}


def race(tmp_path, names, pace, **faults):
    log = tmp_path / "calls"
    loads = {name: partial(Fake, name, log, faults.get(name, "")) for name in names}
    return Race([Worker(name, load, tmp_path / f"{name}.log") for name, load in loads.items()], pace), log


def calls(log):
    return [line.split()[1] for line in sorted(log.read_text().splitlines())]


def test_contenders_take_turns_and_the_first_round_is_not_counted(tmp_path):
    runners, log = race(tmp_path, "abc", Pace(rounds=3))
    with runners:
        series = runners.run(CAPTION, list("abc"))
    assert calls(log) == [*"abc", *"bca", *"cab", *"abc"]
    assert [(one.contender, len(one.seconds)) for one in series] == [("a", 3), ("b", 3), ("c", 3)]
    assert len({line.split()[3] for line in log.read_text().splitlines()}) == 3  # processes, alive all the time
    assert all(one.agreement == 1 for one in series)


def test_a_contender_without_time_left_still_does_two_rounds(tmp_path):
    runners, _ = race(tmp_path, "ab", Pace(rounds=5, budget=0))
    with runners:
        assert [len(one.seconds) for one in runners.run(CAPTION, ["a", "b"])] == [2, 2]


def test_failing_contenders_are_reported_and_the_others_go_on(tmp_path):
    runners, _ = race(tmp_path, "abcd", Pace(rounds=2), a="raise", b="die", c="short")
    with runners:
        for _ in range(2):
            assert [one.contender for one in runners.run(CAPTION, list("abcd"))] == ["d"]
    assert runners.failures["a"] == "caption: ValueError: no more"
    assert "exit code 7" in runners.failures["b"] and "b.log" in runners.failures["b"]
    assert "expected 1 texts of 2 tokens" in runners.failures["c"]


def test_leaving_the_race_ends_the_processes(tmp_path):
    runners, log = race(tmp_path, "a", Pace(rounds=2))
    with pytest.raises(KeyboardInterrupt), runners:
        runners.run(CAPTION, ["a"])
        raise KeyboardInterrupt
    process = int(log.read_text().split()[3])
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_what_runs_apart_may_fail(tmp_path):
    assert run_apart(abs, -3, log=tmp_path / "log") == 3
    with pytest.raises(ValueError):
        run_apart(int, "x", log=tmp_path / "log")
    with pytest.raises(ContenderError, match="died"):
        run_apart(os._exit, 3, log=tmp_path / "log")


@pytest.mark.parametrize(
    ("task", "tokens"),
    [
        (Task("caption", (0, 1), (), 2), [[0, 0]] * 2),
        (Task("answer", (0, 1), ("a", "b"), 1), [[1]] * 2),
        (Task("further", (0,), ("a",), 3), [[2] * 3]),
        (Task("ask", (0,), ("a", "b", "c"), 1), [[2]] * 3),
        (Task("parts", (0,), ("a",), 1), []),
    ],
)
def test_tasks(tmp_path, task, tokens):
    outcome = perform(Fake("a", tmp_path / "calls"), task)
    assert outcome.tokens == tokens and outcome.seconds >= 0
    assert (outcome.parts == {"vision": 1.0, "step": 0.5}) == (task.kind == "parts")


def test_pictures_are_large_and_the_same_every_time():
    assert picture(3).size == SIZE and picture(3).mode == "RGB"
    assert picture.__wrapped__(3).tobytes() == picture(3).tobytes() != picture(4).tobytes()
    assert question.__wrapped__(3) == question(3)


def test_rounds_never_share_pictures():
    work = Work("caption", "caption", 16, 20, images=16)
    seen = [number for round_number in range(8) for number in work.task(round_number).images]
    assert len(seen) == len(set(seen))


def test_a_captioning_checkpoint_is_asked_nothing():
    works = plan(False, answer_tokens=3, caption_tokens=20, quick=False)
    assert all(work.questions == 0 and work.kind in ("caption", "parts") for work in works)


def test_statistics():
    series = Series("caption", 1, 20, "a", (4.0, 1.0, 3.0, 2.0, 10.0), ({"step": 1.0}, {"step": 3.0}, {"step": 2.0}))
    assert (series.median, series.quartiles, series.part_medians) == (3.0, (2.0, 4.0), {"step": 2.0})
    assert replace(series, seconds=(4.0,)).quartiles == (4.0, 4.0)


def test_floor_formulas():
    base = VisionConfig()
    assert vision_macs(base) == 576 * 768 * 768 + 12 * (4 * 577 * 768**2 + 2 * 577**2 * 768 + 2 * 577 * 768 * 3072)
    assert round(vision_macs(base) / 1e9, 1) == 55.5
    assert cross_kv_values(base, TextConfig()) == 10_635_264


def test_peaks():
    peaks = measure_peaks(PeakSizes(8, ((64, 96, 128), (128, 128, 128))), threads=1)
    assert 1e8 < peaks.bandwidth < 1e12
    assert {"int8", "f32"} <= set(peaks.macs) and all(1e7 < macs < 1e15 for macs in peaks.macs.values())


@pytest.mark.parametrize("kind", ["int8", "f32"])
@pytest.mark.parametrize("shape", [(1, 32, 32), (33, 48, 17)])
def test_peaks_of_odd_sizes(kind, shape):
    assert matmul_peak(kind, shape, threads=1) > 0


def results():
    """A run whose figures are easily computed: ours takes 1 s for everything, the tutorial 5, transformers 8."""
    seconds = {"transformers-fp32": 8.0, "tutorial-int8": 5.0, "blipvino-int8": 1.0}
    series = [
        Series(work, size, tokens, name, (each * size,) * 3)
        for name, each in seconds.items()
        for work, sizes, tokens in (("caption", (1, 16), 20), ("first answer", (1,), 3), ("further answer", (1,), 3))
        for size in sizes
    ]
    series += [Series("tokens", n, n, "blipvino-int8", (1 + n / 10,)) for n in (1, 5, 20, 40)]
    series += [Series("parts", 1, 1, "blipvino-int8", (1.0,), ({"vision": 0.2, "answer_kv": 0.1, "step": 0.3},))]
    return SpeedResults(
        checkpoint="demo",
        started="2026-01-01T00:00:00",
        options={"rounds": 3},
        machine=this_machine(),
        entrants=(
            *(Entrant(name, name) for name in seconds),
            Entrant("transformers-bf16", "transformers bf16", "left out", "this CPU has no bf16"),
        ),
        series=tuple(series),
        launches=(Launch("blipvino-int8", "caption", "warm", (1.0, 1.1, 3.0), (500_000_000, 560_000_000, 1)),),
        models=(DiskSize("blipvino INT8", 362_000_000),),
        installs=(DiskSize("blipvino", 600_000_000),),
        peaks=Peaks(1e9, {"int8": 5e9, "f32": 1e9}),
        facts=ModelFacts(500_000_000, 25_000_000, {"blipvino-int8": 100_000_000}),
    )


def test_floors_are_formed_from_peaks_and_facts():
    vision, step = floors(results())
    assert (vision.floor, step.floor) == (0.1, 0.2)
    assert (vision.ratio, round(step.ratio, 9)) == (2.0, 1.5)
    with_bf16 = replace(results(), peaks=Peaks(1e9, {"int8": 5e9, "f32": 1e9, "bf16": 2e9}))
    assert floors(with_bf16)[1].floor == 0.15


def test_targets():
    verdicts = evaluate(results())
    measured = {(one.target.work.split(",")[0], one.target.goal): (one.measured, one.met) for one in verdicts}
    assert measured["caption", "tutorial INT8 / ours"] == (5.0, True)
    assert measured["caption", "transformers fp32 / ours"] == (8.0, False)
    assert measured["captions", "ours / tutorial INT8"] == (5.0, False)
    assert measured["VQA", "transformers fp32 / ours"] == (8.0, True)
    assert measured["vision", "measured / INT8 floor"] == (2.0, False)
    assert measured["process launch → first caption", "seconds"] == (1.1, True)
    assert measured["peak RSS", "megabytes"] == (560.0, False)
    assert measured["growth with images in a batch", "largest / smallest, apiece"] == (1.0, True)
    assert measured["growth with questions on an image", "largest / smallest, apiece"] == (None, None)
    empty = replace(results(), series=(), launches=())
    assert [one.met for one in evaluate(empty)] == [None] * len(TARGETS)


def test_results_survive_json():
    assert SpeedResults.from_json(json.loads(json.dumps(results().to_json()))) == results()


def test_tables_tell_who_was_left_out_and_what_was_missed():
    text = markdown(speed_tables(results()))
    assert "| transformers bf16 | left out | this CPU has no bf16 |" in text
    assert "| ≥ 9 × | 8.00 × | missed |" in text
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in lines)


def test_the_page_keeps_what_is_written_by_hand(tmp_path):
    page = tmp_path / "performance.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    update_page(page, results())
    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}\n") and text.endswith(f"{END}\nafter\n")
    assert "old" not in text and "| vision, INT8 |" in text
    if importlib.util.find_spec("matplotlib"):
        assert "performance-latency.png" in text and (tmp_path / "performance-floor.png").stat().st_size > 10_000
    update_page(page, results())
    assert page.read_text() == text
    page.write_text("no markers")
    with pytest.raises(OutputError, match="expected the lines"):
        update_page(page, results())


def test_the_page_of_the_documentation_has_its_markers():
    text = (Path(__file__).parents[1] / "docs" / "performance.md").read_text()
    assert text.index(BEGIN) < text.index(END)


def test_install_sizes_follow_requirements():
    assert sizes.install_bytes(["no-such-package"]) is None
    assert sizes.install_bytes(["openvino"]) > sizes.install_bytes(["numpy"]) > 10_000_000  # openvino requires numpy
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert [line.split(">=")[0] for line in project["dependencies"]] == list(sizes.CORE)


@pytest.mark.parametrize(
    ("names", "recipes", "expected"),
    [
        (("tutorial-int8", "blipvino-int8"), None, ["tutorial-int8", "blipvino-int8"]),
        (("tutorial-int8",), ("none",), ["tutorial-int8", "blipvino-none"]),
        (("blipvino-int8", "blipvino-none"), None, ["blipvino-none", "blipvino-int8"]),
    ],
)
def test_contenders_by_name(names, recipes, expected):
    pytest.importorskip("torch")
    assert [one.name for one in find_contestants(names, recipes)] == expected


def test_a_contender_that_cannot_run_is_refused_if_it_was_asked_for(monkeypatch):
    monkeypatch.setattr("blipvino.bench.contenders.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"torch, transformers: pip install 'blipvino\[bench\]'"):
        find_contestants(("tutorial-int8",), None)
    assert [one.name for one in find_contestants(None, ("int8",)) if not one.missing] == ["blipvino-int8"]


def test_bad_options():
    with pytest.raises(InputError, match="rounds is 0"):
        SpeedOptions(rounds=0)


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
    assert "Latency: caption, 20 tokens" in (tmp_path / "speed.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["demo", "--contenders", "tutorial"], "no contender 'tutorial'; expected one of transformers-fp32"),
        (["demo", "--recipes", "int2"], "no recipe 'int2'"),
        (["demo", "--rounds", "0"], "rounds is 0"),
        (["nowhere/at/all"], "nowhere/at/all"),
    ],
)
def test_mistakes_are_one_line(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.setattr(sys, "argv", ["blipvino", "bench", *arguments, "-o", str(tmp_path), "--quiet"])
    with pytest.raises(SystemExit) as exit_info:
        main()
    error = capsys.readouterr().err
    assert exit_info.value.code == 2 and message in error and error.count("\n") == 1
