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

from benchmarks.targets import TARGETS, evaluate
from blipvino.checkpoint.config import TextConfig, VisionConfig
from blipvino.cli.main import main
from blipvino.errors import InputError, OutputError
from blipvino.machine.cpu_classes import TITLES, class_of
from blipvino.machine.host import Host
from blipvino.machine.record import classified, this_machine
from blipvino.measure.race.contenders import find_contestants
from blipvino.measure.race.floor import cross_kv_values, floors, vision_macs
from blipvino.measure.race.peaks import PeakSizes, matmul_peak, measure_peaks
from blipvino.measure.race.race import Pace, Race
from blipvino.measure.race.race_inputs import SIZE, picture, question
from blipvino.measure.race.speed import SpeedOptions
from blipvino.measure.race.speed_files import markers, update_page, write_speed
from blipvino.measure.race.speed_results import DiskSize, Entrant, Launch, ModelFacts, Peaks, Series, SpeedResults
from blipvino.measure.race.speed_tables import speed_tables
from blipvino.measure.race.work import Task, Work, perform, plan
from blipvino.measure.race.worker import ContenderError, Worker, run_apart
from blipvino.measure.report.page.sections import sizes
from blipvino.text.tables import markdown

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


def machine(machine_class="avx512-vnni", **fields):
    """This one, of another class."""
    quantized = "float" if machine_class == "avx2" else "int8"
    return replace(this_machine(), machine_class=machine_class, **{"quantized": quantized, "limit": "", **fields})


def results(machine_class="avx512-vnni", **fields):
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
        machine=machine(machine_class, **fields),
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


def test_a_quantized_graph_that_runs_in_float_is_held_to_floats_peak():
    vision, step = floors(results("avx2"))
    assert (vision.floor, step.floor) == (0.5, 0.2)
    assert "(f32)" in vision.limit


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


def with_fp16(seconds, *, step, transformers=8.0):
    """An AVX2 run in which blipvino FP16 takes these seconds for everything, beside INT8's 1 s and step of 0.3 s."""
    found = results("avx2")
    series = [
        replace(one, seconds=(transformers * one.size,) * 3) if one.contender == "transformers-fp32" else one
        for one in found.series
    ]
    series += [
        replace(one, contender="blipvino-none", seconds=(seconds * one.size,) * 3)
        for one in found.series
        if one.contender == "blipvino-int8" and one.work in ("caption", "first answer")
    ]
    series += [Series("parts", 1, 1, "blipvino-none", (9.0,), ({"vision": 0.2, "step": step},))]
    weights = {"blipvino-none": 200_000_000, "blipvino-int8": 100_000_000}  # floors of a step: 0.3 and 0.2 s
    entrants = (*found.entrants, Entrant("blipvino-none", "blipvino FP16"))
    return replace(found, series=tuple(series), entrants=entrants, facts=replace(found.facts, step_weights=weights))


def test_targets_without_vnni_are_fp16_and_transformers():
    worst, faster, by_bytes, original = evaluate(with_fp16(2.0, step=0.45))
    assert (worst.measured, worst.met) == (0.5, True) and worst.where.startswith("blipvino-int8, ")
    assert (round(faster.measured, 9), faster.met) == (round(0.3 / 0.45, 9), True)
    assert round(by_bytes.measured, 9) == 1.0
    assert (original.measured, original.met) == (0.25, True) and original.where.startswith("blipvino FP16, ")
    slow, slower, _, not_first = evaluate(with_fp16(0.95, step=0.29, transformers=0.9))
    assert (slow.met, slower.met, not_first.met) == (False, False, False)
    assert evaluate(with_fp16(0.98, step=0.4))[0].met  # 2% slower
    faster, by_bytes = evaluate(with_fp16(2.0, step=0.4))[1:3]
    assert (faster.met, by_bytes.met) == (True, False)  # it saves more bytes than time
    assert [one.met for one in evaluate(replace(results("avx2"), series=()))] == [None] * 4


def test_the_targets_of_a_class_are_shown_with_their_worst_case():
    text = markdown(speed_tables(with_fp16(0.9, step=0.4, transformers=4.0)))
    assert "| ≤ 1.03 × | 1.11 × (blipvino-int8, first answer, 1) | missed |" in text
    assert "tutorial INT8 / ours" not in text


@pytest.mark.parametrize(("machine_class", "told"), [("avx2", "float arithmetic"), ("avx-vnni", "8-bit arithmetic")])
def test_latencies_tell_the_arithmetic_that_ran(machine_class, told):
    found = with_fp16(2.0, step=0.4)
    text = markdown(speed_tables(replace(found, machine=machine(machine_class))))
    assert f"| blipvino-int8, {told} | 1,000 |" in text and "| blipvino FP16 | 2,000 |" in text
    old = replace(found, machine=machine(machine_class, quantized=""))
    assert "| blipvino-int8 | 1,000 |" in markdown(speed_tables(old))


def test_results_survive_json():
    assert SpeedResults.from_json(json.loads(json.dumps(results().to_json()))) == results()


def test_tables_tell_who_was_left_out_and_what_was_missed():
    text = markdown(speed_tables(results()))
    assert "| transformers bf16 | left out | this CPU has no bf16 |" in text
    assert "| ≥ 9 × | 8.00 × | missed |" in text
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in lines)


@pytest.mark.parametrize(
    ("host", "machine_class"),
    [
        (Host("", ()), "avx2"),  # AVX-512 without VNNI too: it computes as AVX2 does
        (Host("", ("avx512_vnni",)), "avx512-vnni"),
        (Host("", ("avx512_vnni", "avx_vnni")), "avx512-vnni"),
        (Host("", ("avx_vnni",)), "avx-vnni"),
        (Host("", ("amx_int8", "avx512_vnni", "avx_vnni"), bf16=("amx_bf16",)), "bf16"),
        (Host("", ("avx512_vnni",), bf16=("avx512_bf16",)), "bf16"),
        (Host("", (), x86=False), "other"),
    ],
)
def test_classes_of_machines(host, machine_class):
    assert class_of(host) == machine_class


def test_a_limit_on_instructions_makes_a_machine_of_another_class(monkeypatch):
    monkeypatch.setattr("blipvino.machine.record.this_host", lambda: Host("", (), limit="ONEDNN_MAX_CPU_ISA=AVX2"))
    monkeypatch.delenv("BLIPVINO_ARITHMETIC", raising=False)
    limited = this_machine()
    assert (limited.machine_class, limited.quantized, limited.limit) == ("avx2", "float", "ONEDNN_MAX_CPU_ISA=AVX2")


def test_the_class_of_records_of_before():
    old = machine(None, capabilities=("FP32", "INT8"))
    assert classified(old, "avx2").machine_class == "avx2"
    assert classified(replace(old, capabilities=("BF16", "INT8"))).machine_class == "bf16"
    with pytest.raises(InputError, match="give --class, one of avx2, avx512-vnni, avx-vnni, bf16"):
        classified(old)
    with pytest.raises(InputError, match="class avx-vnni, --class says avx2"):
        classified(machine("avx-vnni"), "avx2")


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
    text = (Path(__file__).parents[3] / "docs" / "performance.md").read_text()
    places = [text.index(marker) for name in list(TITLES)[:-1] for marker in markers(name)]
    assert places == sorted(places)


def test_install_sizes_follow_requirements():
    assert sizes.install_bytes(["no-such-package"]) is None
    assert sizes.install_bytes(["openvino"]) > sizes.install_bytes(["numpy"]) > 10_000_000  # openvino requires numpy
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
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
    monkeypatch.setattr("blipvino.measure.race.contenders.find_spec", lambda name: None)
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
