"""The speed benchmark: every contender on the same work, interleaved, beside what the machine can do at best."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from blipvino.bundle.bundle import open_bundle
from blipvino.checkpoint.config import BlipConfig
from blipvino.checkpoint.tensors import load_checkpoint
from blipvino.demo import resolve
from blipvino.errors import InputError
from blipvino.files.atomic import make_folder
from blipvino.machine.record import this_machine
from blipvino.measure.race.cold_starts import LAUNCHED, measure_launches
from blipvino.measure.race.contenders import INT8, PREFIX, ContenderSpec, Workplace, find_contenders
from blipvino.measure.race.disk_space import install_sizes, total_bytes
from blipvino.measure.race.floor import cross_kv_values, vision_macs
from blipvino.measure.race.peaks import QUICK, PeakSizes, measure_peaks
from blipvino.measure.race.race import Pace, Race
from blipvino.measure.race.speed_results import DiskSize, Entrant, Launch, ModelFacts, Series, SpeedResults
from blipvino.measure.race.work import plan
from blipvino.measure.race.worker import Worker, run_apart
from blipvino.progress import Reporter

LINEAR = ("tutorial-int8", INT8)
"""Those whose growth with images, questions and tokens is drawn."""


@dataclass(frozen=True)
class SpeedOptions:
    """How much to measure.

    Attributes:
        contenders: names; None is everyone that can run here.
        recipes: of blipvino; None is the usual ones, or those among ``contenders``.
        rounds: of each work at most; None is 7, or 3 if ``quick``.
        threads: of each contender; None uses every core.
        calibration_samples: for quantization; speed does not depend on them.
        caption_tokens: new tokens of a caption.
        answer_tokens: new tokens of an answer.
        quick: fewer rounds, smaller batches.
    """

    contenders: tuple[str, ...] | None = None
    recipes: tuple[str, ...] | None = None
    rounds: int | None = None
    threads: int | None = None
    calibration_samples: int = 20
    caption_tokens: int = 20
    answer_tokens: int = 3
    quick: bool = False

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: a number is too small.
        """
        for name in ("rounds", "threads", "calibration_samples", "caption_tokens", "answer_tokens"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} is {value}, expected at least 1")

    @property
    def pace(self) -> Pace:
        """How often works are repeated."""
        return Pace(self.rounds or 3, 2.0) if self.quick else Pace(self.rounds or 7)


def run_speed(checkpoint: str | Path, work: str | Path, options: SpeedOptions, reporter: Reporter) -> SpeedResults:
    """Measure everything.

    A contender that fails is reported with its reason, and the others go on.

    Args:
        checkpoint: a folder, a hub id, or ``demo``.
        work: folder for what contenders need; what is there of an earlier run is used again.
        options: how much to measure.
        reporter: shows progress.

    Raises:
        BlipvinoError: the checkpoint cannot be used, or a contender was asked for that cannot run here.
    """
    started = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    machine = this_machine()
    found = find_contenders(options.contenders, options.recipes)
    entrants, able = _entrants(found, asked=options.contenders is not None, bf16="BF16" in machine.capabilities)
    with load_checkpoint(resolve(checkpoint), show_progress=reporter.show) as opened:
        config, fingerprint = opened.config, opened.sha256
        if config.retrieves:
            raise InputError(
                f"{checkpoint}: {config.architecture} generates no texts, which are what is raced; `python -m "
                "benchmarks.retrieval_cost` times a bundle of it"
            )
        place = Workplace(opened.folder, Path(work) / fingerprint[:12], options.threads, options.calibration_samples)
    make_folder(place.folder)
    failures: dict[str, str] = {}
    ready = _build(able, place, failures, reporter)
    if not ready:
        told = next(iter(failures.values()), "none was named that can take part")
        raise InputError(f"{checkpoint}: no contender to race; {told}")
    reporter.say("Measuring the machine's peaks")
    sizes = QUICK if options.quick else PeakSizes()
    peaks = run_apart(measure_peaks, sizes, options.threads, log=place.log("peaks"))
    series = _race(ready, place, config, options, failures, reporter)
    launches = _launches(ready, place, config, options, failures, reporter)
    return SpeedResults(
        checkpoint=str(checkpoint),
        started=started,
        options=asdict(options),
        machine=machine,
        entrants=tuple(_outcome(entrant, failures) for entrant in entrants),
        series=tuple(series),
        launches=tuple(launches),
        models=tuple(DiskSize(one.label, total_bytes(one.files(place))) for one in ready),
        installs=tuple(install_sizes()),
        peaks=peaks,
        facts=_facts(ready, place, config),
    )


def _entrants(found: list[ContenderSpec], *, asked: bool, bf16: bool) -> tuple[list[Entrant], list[ContenderSpec]]:
    """Everyone with what becomes of them so far, and those that can take part."""
    entrants, able = [], []
    for one in found:
        reason = ""
        if one.missing:
            reason = f"{', '.join(one.missing)} not installed: pip install 'blipvino[bench]'"
        elif one.bf16_only and not bf16 and not asked:
            reason = f"this CPU has no bf16; --contenders {one.name} forces it"
        entrants.append(Entrant(one.name, one.label, "left out" if reason else "measured", reason))
        able += [] if reason else [one]
    return entrants, able


def _outcome(entrant: Entrant, failures: Mapping[str, str]) -> Entrant:
    failed = entrant.name in failures
    return replace(entrant, state="failed", reason=failures[entrant.name]) if failed else entrant


def _build(
    able: list[ContenderSpec], place: Workplace, failures: dict[str, str], reporter: Reporter
) -> list[ContenderSpec]:
    """Make what contenders need, each in a process of its own, and return those for whom it worked."""
    ready = []
    for one in reporter.track(able, "Building contenders", len(able)):
        stamp = one.stamp(place)
        try:
            if stamp is not None and not stamp.exists():
                run_apart(one.build, place, log=place.log(one.name))
                stamp.touch()
        except Exception as error:  # whatever a baseline's libraries raise, it is the baseline's result
            failures[one.name] = f"build: {type(error).__name__}: {error}"
        else:
            ready.append(one)
    return ready


def _race(
    ready: list[ContenderSpec],
    place: Workplace,
    config: BlipConfig,
    options: SpeedOptions,
    failures: dict[str, str],
    reporter: Reporter,
) -> list[Series]:
    works = plan(
        config.answers_questions,
        answer_tokens=options.answer_tokens,
        caption_tokens=options.caption_tokens,
        quick=options.quick,
    )
    names = [one.name for one in ready]
    workers = [Worker(one.name, partial(one.load, place), place.log(one.name)) for one in ready]
    series: list[Series] = []
    with Race(workers, options.pace) as race:
        for number, work in enumerate(works, start=1):
            found = race.run(work, [name for name in names if name in LINEAR] if work.linear_only else names)
            reporter.say(f"Timed {number}/{len(works)}, {work.name} {work.size}: {_medians(found)}")
            series += found
    failures.update(race.failures)
    return series


def _medians(found: list[Series]) -> str:
    return ", ".join(f"{one.contender} {one.median * 1e3:.1f} ms" for one in found)


def _launches(
    ready: list[ContenderSpec],
    place: Workplace,
    config: BlipConfig,
    options: SpeedOptions,
    failures: dict[str, str],
    reporter: Reporter,
) -> list[Launch]:
    reporter.say("Timing cold starts")
    names = [one.name for one in ready if one.name in LAUNCHED and one.name not in failures]
    tokens = {"caption": options.caption_tokens}
    if config.answers_questions:
        tokens["answer"] = options.answer_tokens
    return measure_launches(place, names, tokens, 1 if options.quick else 5, failures)


def _facts(ready: list[ContenderSpec], place: Workplace, config: BlipConfig) -> ModelFacts:
    weights = {
        one.name: open_bundle(place.bundle(one.name.removeprefix(PREFIX)), verify=False).graph_size("answer")
        for one in ready
        if one.name.startswith(PREFIX)
    }
    return ModelFacts(vision_macs(config.vision), cross_kv_values(config.vision, config.text), weights)
