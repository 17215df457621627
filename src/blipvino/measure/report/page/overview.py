"""The report's beginning: the verdict in words, and its figures at a glance."""

from __future__ import annotations

from collections.abc import Iterator

from blipvino.graphs.recipes import AUTO, RECIPE_NAMES, SEARCH_SUMMARY, find_recipe
from blipvino.measure.cost import Cost, Latency
from blipvino.measure.evaluation.evaluation import AnswerScore, Evaluation
from blipvino.measure.recall.retrieval_evaluation import RetrievalEvaluation
from blipvino.measure.report.evaluation_tables import interval
from blipvino.measure.report.page.parts import note, typeset
from blipvino.measure.report.page.recall_section import figures_of_recall, sentences_on_recall
from blipvino.measure.report.report import Report
from blipvino.metrics.bootstrap import Estimate
from blipvino.text.markup import Markup, element, join
from blipvino.text.units import megabytes, milliseconds

SAME_SPEED = 0.03
"""A difference of latency that is not worth a word."""
SMALL = 25_000_000
"""Parameters below which a model's time goes into calls and not into arithmetic: 8 bits have little to speed up."""
TASKS = {
    "captioning": ("captions an image", "Captions"),
    "question answering": ("answers a question", "Answers"),
    "embedding an image": ("embeds an image", "Images"),
    "embedding a text": ("embeds a text", "Texts"),
    "matching": ("matches a text", "Matching"),
}


def headline(report: Report) -> str:
    """The report's title."""
    before, after = report.cost.names
    return f"{report.bundle.manifest.source.name}: {after} beside {before}"


def verdict(report: Report) -> Markup:
    """What compression gained and cost, in a paragraph."""
    return element("p", typeset(" ".join(sentences(report))), class_="verdict")


def names_note(report: Report) -> Markup:
    """What the names of the two models are short for, and what stands in brackets."""
    before, after = report.cost.names
    told = [f"{before} is the original, its weights in 16-bit floats" if before == "FP16" else ""]
    made = report.bundle.manifest.recipe.name
    summary = SEARCH_SUMMARY if made == AUTO else find_recipe(made).summary if made in RECIPE_NAMES else ""
    told.append(f"{after} is this bundle, made by the recipe of that name: {summary}" if summary else "")
    told.append(brackets_note(report).rstrip("."))
    return note(". ".join(filter(None, told)) + ".") if any(told) else Markup()


def brackets_note(report: Report) -> str:
    """What is in brackets in the sentences and tables; nothing where nothing was evaluated."""
    evaluation = report.evaluation
    if isinstance(evaluation, Evaluation):
        shown = evaluation.answers or evaluation.captions or evaluation.caption_agreement is not None
        if not shown:
            return ""
    return f"Figures in brackets are {evaluation.confidence:.0%} intervals."


def sentences(report: Report) -> tuple[str, ...]:
    """The verdict: size, answers, captions, speed."""
    cost, evaluation = report.cost, report.evaluation
    if isinstance(evaluation, RetrievalEvaluation):
        return (_size(cost), *sentences_on_recall(evaluation), *_speed(cost))
    return (_size(cost), *_accuracy(evaluation), *_captions(evaluation), *_speed(cost))


def tiles(report: Report) -> Markup:
    """The figures that matter most."""
    return element("dl", *(_tile(*tile) for tile in _figures(report)), class_="tiles")


def _size(cost: Cost) -> str:
    before, after = cost.names
    total = cost.total
    if f"{total.rate:.2f}" == "1.00":
        return (
            f"The {after} bundle's weights take as much room as the {before} original's: {megabytes(total.original)}."
        )
    return (
        f"The {after} bundle's weights take {total.rate:.2f} times less room than the {before} original's: "
        f"{megabytes(total.compressed)} instead of {megabytes(total.original)}."
    )


def _accuracy(evaluation: Evaluation) -> Iterator[str]:
    whole = overall(evaluation)
    if whole is None or whole.agreement is None:
        return
    agreement = f"It answers {percent(whole.agreement)} of {whole.questions:,} questions as the original does"
    if whole.drop is None:
        yield f"{agreement}; what is right is not known of these questions."
    else:
        yield f"{agreement}, at an accuracy drop of {interval(whole.drop)} points: {significance(whole.drop)}."


def significance(drop: Estimate) -> str:
    """What a drop with its interval says, in words."""
    if drop.low > 0:
        return "a loss beyond chance"
    if drop.high < 0:
        return "a gain beyond chance"
    if drop.low == drop.high == 0:
        return "none on these questions"
    return "not distinguishable from none"


def _captions(evaluation: Evaluation) -> Iterator[str]:
    if evaluation.caption_agreement is not None:
        share = percent(evaluation.caption_agreement)
        yield f"It gives {share} of {evaluation.data.captioned:,} images the very caption that the original gives."


def _speed(cost: Cost) -> Iterator[str]:
    told = [_speed_of(latency) for latency in cost.latencies]
    if told:
        yield f"On this machine it {' and '.join(told)}."
    parameters = cost.total.original // 2  # in half precision
    gains = any(latency.speed_up > 1 and not _as_fast(latency) for latency in cost.latencies)
    if told and not gains and parameters < SMALL and cost.total.rate > 1.1:
        yield f"A model of {parameters / 1e6:.0f} million parameters is too small to gain speed from 8 bits."


def _as_fast(latency: Latency) -> bool:
    """By the ratio as it is printed: 0.97 to 1.03."""
    return abs(round(latency.speed_up, 2) - 1) < SAME_SPEED + 1e-9


def _speed_of(latency: Latency) -> str:
    doing, _ = TASKS[latency.task]
    if _as_fast(latency):
        return f"{doing} about as fast as the original"
    return f"{doing} at {latency.speed_up:.2f} times the original's speed"


def _figures(report: Report) -> Iterator[tuple[str, str, str]]:
    """Name, figure, what it is of."""
    cost, evaluation = report.cost, report.evaluation
    total = cost.total
    yield "Weights", f"{total.rate:.2f}×", f"smaller: {megabytes(total.original)} → {megabytes(total.compressed)}"
    yield from figures_of_recall(evaluation) if isinstance(evaluation, RetrievalEvaluation) else _said(evaluation)
    for latency in cost.latencies:
        times = f"{milliseconds(latency.original)} → {milliseconds(latency.compressed)}"
        if _as_fast(latency):
            yield TASKS[latency.task][1], "≈ 1×", f"about as fast: {times}"
        else:
            yield TASKS[latency.task][1], f"{latency.speed_up:.2f}×", f"as fast: {times}"


def _said(evaluation: Evaluation) -> Iterator[tuple[str, str, str]]:
    """Of answers and captions."""
    whole = overall(evaluation)
    if whole is not None and whole.agreement is not None:
        yield (
            "Same answers",
            _percent(whole.agreement),
            f"{_range(whole.agreement, 1)} of {whole.questions:,} questions",
        )
    if whole is not None and whole.drop is not None:
        yield (
            "Accuracy drop",
            f"{_points(whole.drop.value)}",
            f"points {_range(whole.drop, 2)}: {significance(whole.drop)}",
        )
    elif evaluation.caption_agreement is not None:
        same = evaluation.caption_agreement
        yield "Same captions", _percent(same), f"{_range(same, 1)} of {evaluation.data.captioned:,} images"


def _tile(name: str, figure: str, of: str) -> Markup:
    told = join([element("dd", typeset(figure), class_="figure"), element("dd", typeset(of), class_="of")])
    return element("div", element("dt", name), told)


def overall(evaluation: Evaluation) -> AnswerScore | None:
    """The score over all questions; None without questions."""
    return next((row for row in evaluation.answers if row.kind == "all"), None)


def percent(share: Estimate) -> str:
    """A share with its interval."""
    return f"{_percent(share)} {_range(share, 1)}"


def _percent(share: Estimate) -> str:
    return f"{100 * share.value:.1f}%"


def _points(share: float) -> str:
    return f"{round(100 * share, 2) + 0.0:.2f}"


def _range(share: Estimate, digits: int) -> str:
    return interval(share, digits).partition(" ")[2]
