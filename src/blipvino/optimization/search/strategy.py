"""The search itself: what is tried next, and what is kept. It measures nothing, so it can be tested without models.

1. *Start*: the original in FP16, which is the fallback; then every graph by its default. Within the limit: go on to 4.
2. *Alone*: each graph by its default with the others in FP16, which shows who does the damage. A graph whose drop alone
   is over the limit is treated more gently, step by step, until it is not.
3. *Together*: what suits each alone. Over the limit: the graph with the largest drop alone takes a further step, and so
   on; at the last, every graph is in FP16.
4. *Better*: within the limit, each graph, the largest first, is offered what may be faster or smaller. It is timed
   first, since what gains nothing need not be right; then its accuracy is measured, on the whole recipe.

Accuracy comes before latency, latency before size. Given the same measurements the same is tried and kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import Protocol, TypeVar

from blipvino.bundle.search_record import Decision, Found, Outcome, Phase, Race, Score, Treatments, Trial, described
from blipvino.errors import CompressionError
from blipvino.graphs.specs import GRAPHS
from blipvino.optimization.search.candidates import CandidateResult, faster_or_smaller, gentler
from blipvino.optimization.search.options import Search
from blipvino.progress import Reporter
from blipvino.recipe import FP16, Treatment

WORTH_MORE_BYTES = 0.1
"""What a larger recipe must be faster by, relatively."""
WORTH_ACCURACY = 0.05
"""What a recipe that is no faster must be smaller by, relatively: less is not worth the accuracy that it may cost."""
SAME_SIZE = 0.005
"""Sizes that differ by less, relatively, count as equal."""


class RunsTrials(Protocol):
    """What builds recipes and measures them. Every method raises CompressionError where NNCF cannot build one."""

    @property
    def graphs(self) -> Sequence[str]:
        """The checkpoint's graphs, in the order in which they run."""
        ...

    def score(self, treatments: Treatments) -> Score:
        """How good its texts are."""
        ...

    def race(self, challenger: Treatments, holder: Treatments) -> Race:
        """Time two recipes, taking turns."""
        ...

    def size(self, treatments: Treatments) -> int:
        """Bytes of its weights."""
        ...

    def rank_layers(self, graph: str, treatment: Treatment) -> Sequence[str]:
        """Names of the graph's nodes, those first whose quantization does most damage."""
        ...


class RecipeSearch:
    """One search for a recipe.

    Args:
        runner: builds and measures.
        options: what to look for.
        reporter: says what is tried.
        clock: seconds that pass, for the limit of time.
    """

    def __init__(
        self,
        runner: RunsTrials,
        options: Search,
        reporter: Reporter,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._runner = runner
        self._options = options
        self._reporter = reporter
        self._clock = clock
        self._deadline = float("inf") if options.minutes is None else clock() + 60 * options.minutes
        self._float: Treatments = dict.fromkeys(runner.graphs, FP16)
        self._best: Treatments = self._float
        self._trials: list[Trial] = []

    def run(self) -> Found:
        """Search until nothing is left to try, time is up, or somebody presses Ctrl-C; the best so far is kept.

        Raises:
            KeyboardInterrupt: of Ctrl-C before anything was measured.
        """
        outcome: Outcome = "finished"
        try:
            self._start()
            self._improve()
            self._conclude()
        except KeyboardInterrupt:
            if not self._trials:
                raise
            outcome = "interrupted"
        except _OutOfTimeError:
            outcome = "out of time"
        return Found(self._best, tuple(self._trials), outcome)

    def _start(self) -> None:
        self._measure("start", None, self._float, lambda score, size: ("kept", "what is left if nothing else holds"))
        defaults = {graph: GRAPHS[graph].default for graph in self._runner.graphs}
        if not self._whole("start", defaults):
            self._repair(defaults)

    def _repair(self, defaults: Treatments) -> None:
        """Treat graphs more gently until the whole is within the limit."""
        graphs = {
            graph: _Gentled(default, partial(self._alone, graph), partial(self._runner.rank_layers, graph))
            for graph, default in defaults.items()
        }
        tried: Treatments = defaults
        while True:
            compressed = [one for one in graphs.values() if one.treatment != FP16]
            if not compressed:
                return
            over = [one for one in compressed if not self._within(one.score)]
            together = {graph: one.treatment for graph, one in graphs.items()}
            if not over and together != tried:
                tried = together
                if self._whole("together", together):
                    return
            max(over or compressed, key=lambda one: one.damage).take_a_step()

    def _alone(self, graph: str, treatment: Treatment) -> Score | None:
        """Measure one graph compressed, the others in FP16."""
        treatments = {**self._float, graph: treatment}
        if treatments == self._float:
            return self._trials[0].score

        def judge(score: Score, size: int) -> tuple[Decision, str]:
            if not self._within(score):
                return "measured", "over the limit"
            smaller = size < self._runner.size(self._best)
            return ("kept", "within the limit, the smallest so far") if smaller else ("measured", "within the limit")

        return self._measure("alone", graph, treatments, judge)

    def _whole(self, phase: Phase, treatments: Treatments) -> bool:
        """Measure every graph as it would be; kept if it is within the limit."""
        score = self._measure(
            *(phase, None, treatments),
            lambda score, size: ("kept", "within the limit") if self._within(score) else ("rejected", "over the limit"),
        )
        return self._within(score)

    def _improve(self) -> None:
        """Offer each graph, the largest first, what may be faster or smaller."""
        sizes = {graph: self._runner.size({graph: treatment}) for graph, treatment in self._best.items()}
        for graph in sorted(sizes, key=lambda name: -sizes[name]):
            offers = faster_or_smaller(graph, self._best[graph])
            offered = _next(offers)
            while offered is not None:
                offered = _next(offers, self._offer(graph, offered))

    def _offer(self, graph: str, offered: Treatment) -> CandidateResult:
        """Change one graph of the best so far, and keep that if it gains something and is within the limit."""
        treatments = {**self._best, graph: offered}
        self._begin(described("better", graph, treatments))
        try:
            size, race = self._runner.size(treatments), self._runner.race(treatments, self._best)
            gains, reason = _gain(race, size, self._runner.size(self._best))
            score = self._runner.score(treatments) if gains else None
        except CompressionError as error:
            self._record(Trial("better", graph, treatments, None, None, None, "refused", str(error)))
            return CandidateResult(accepted=False, drop=None)
        within = self._within(score)
        if score is not None:
            reason += ", within the limit" if within else ", but over the limit"
        decision: Decision = "kept" if within else "rejected"
        self._record(Trial("better", graph, treatments, score, race, size, decision, reason))
        return CandidateResult(within, None if score is None else score.drop)

    def _conclude(self) -> None:
        """Time what was found against the original."""
        self._begin("the best, timed against FP16")
        race = self._runner.race(self._best, self._float)
        score = next(trial.score for trial in reversed(self._trials) if trial.decision == "kept")
        size = self._runner.size(self._best)
        self._record(Trial("result", None, self._best, score, race, size, "kept", f"{_speed(race)} beside FP16"))

    def _measure(
        self,
        phase: Phase,
        graph: str | None,
        treatments: Treatments,
        judge: Callable[[Score, int], tuple[Decision, str]],
    ) -> Score | None:
        """Measure accuracy and size, judge and record them; None where the recipe cannot be built."""
        self._begin(described(phase, graph, treatments))
        try:
            score, size = self._runner.score(treatments), self._runner.size(treatments)
        except CompressionError as error:
            self._record(Trial(phase, graph, treatments, None, None, None, "refused", str(error)))
            return None
        self._record(Trial(phase, graph, treatments, score, None, size, *judge(score, size)))
        return score

    def _within(self, score: Score | None) -> bool:
        if score is None:
            return False
        decisive = score.drop if self._options.decide_by == "estimate" else score.high
        return decisive <= self._options.max_drop + 1e-9  # points are sums of hundredths

    def _begin(self, what: str) -> None:
        if self._clock() >= self._deadline:
            raise _OutOfTimeError
        self._reporter.say(f"Trial {len(self._trials) + 1}: {what}")

    def _record(self, trial: Trial) -> None:
        self._trials.append(trial)
        if trial.decision == "kept":
            self._best = trial.treatments
        drop = "" if trial.score is None else f"drop {trial.score.drop:.2f} points, "
        self._reporter.say(f"  {drop}{trial.decision}: {trial.reason}")


class _OutOfTimeError(Exception):
    """No further trial may begin."""


class _Gentled:
    """One graph on its way to a treatment that does little damage alone.

    Args:
        default: where it starts.
        alone: measures a treatment of it, the other graphs being in FP16.
        rank_layers: names its nodes, worst first.
    """

    def __init__(
        self,
        default: Treatment,
        alone: Callable[[Treatment], Score | None],
        rank_layers: Callable[[Treatment], Sequence[str]],
    ) -> None:
        self.treatment = default
        self.score = alone(default)
        self._alone = alone
        self._gentler = gentler(default, self.damage, rank_layers)
        self._last: float | None = None

    @property
    def damage(self) -> float:
        """Points that it loses alone; infinite where it cannot be built."""
        return _damage(self.score)

    def take_a_step(self) -> None:
        """Measure what comes next, and take it if it does less damage. The last step is FP16."""
        treatment = _next(self._gentler, self._last)
        assert treatment is not None  # nobody steps on from FP16
        score = self._alone(treatment)
        self._last = _damage(score)
        if treatment == FP16 or self._last < self.damage:
            self.treatment, self.score = treatment, score


def _damage(score: Score | None) -> float:
    return float("inf") if score is None else score.drop


Sent = TypeVar("Sent")


def _next(generator: Generator[Treatment, Sent, None], sent: Sent | None = None) -> Treatment | None:
    """What a generator yields, at its start or after it was sent something; None at its end."""
    try:
        return next(generator) if sent is None else generator.send(sent)
    except StopIteration:
        return None


def _gain(race: Race, size: int, size_of_best: int) -> tuple[bool, str]:
    """Whether a recipe is faster or smaller enough than the best so far, and in which words."""
    larger = size / size_of_best - 1
    if larger > SAME_SIZE:
        return race.gain > WORTH_MORE_BYTES, f"{_speed(race)}, {larger:.1%} larger"
    if larger < -SAME_SIZE:
        return race.gain > 0 or (race.gain == 0 and -larger >= WORTH_ACCURACY), f"{_speed(race)}, {-larger:.1%} smaller"
    return race.gain > 0, f"{_speed(race)}, no smaller"


def _speed(race: Race) -> str:
    if race.gain == 0:
        return "as fast"
    return f"{abs(race.gain):.1%} {'faster' if race.gain > 0 else 'slower'}"
