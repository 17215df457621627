"""The report's sample pictures: what both models say of each, side by side, disagreements first."""

from __future__ import annotations

from collections.abc import Sequence

from blipvino.data import Sample, open_source
from blipvino.files.data_urls import jpeg_url
from blipvino.measure.evaluation.evaluation import AnswerExample, CaptionExample, Evaluation
from blipvino.measure.evaluation.selection import select_known
from blipvino.measure.report.page.parts import Section, note
from blipvino.measure.report.report import Example, Report
from blipvino.runtime.inputs.images import load_image
from blipvino.text.markup import Markup, element, join

DIFFERING, ALIKE = 12, 4
"""Pictures on which the models differ, and on which they do not, at the most."""
ALIKE_ANSWERS = 2
"""Answers of a picture that are shown where none differs."""
LARGEST = (420, 420)
"""Pixels; larger images are shown smaller."""
JPEG_QUALITY = 88
REFERENCES = 3
"""Different answers or captions of annotators that are shown, at the most."""


def find_examples(evaluation: Evaluation, seed: int) -> tuple[Example, ...]:
    """The images of an evaluation's examples, read from its data anew; those first on which the models differ.

    Raises:
        BlipvinoError: the data cannot be read, or is not what was evaluated on.
    """
    said: tuple[AnswerExample | CaptionExample, ...] = (*evaluation.answer_examples, *evaluation.caption_examples)
    differing = dict.fromkeys(one.image_id for one in said if one.differs)
    alike = [image_id for image_id in dict.fromkeys(one.image_id for one in said) if image_id not in differing]
    ids = [*list(differing)[:DIFFERING], *alike[:ALIKE]]
    if not ids:
        return ()
    known = select_known(open_source(evaluation.data.source), (), ids, seed)
    found = {one.sample.image_id: one.sample for one in known}
    return tuple(_example(found[image_id], evaluation) for image_id in ids)


def _example(sample: Sample, evaluation: Evaluation) -> Example:
    answers = [said for said in evaluation.answer_examples if said.image_id == sample.image_id]
    captions = [said for said in evaluation.caption_examples if said.image_id == sample.image_id]
    differing = [said for said in answers if said.differs]
    said = tuple(differing or answers[:ALIKE_ANSWERS]), tuple(captions)
    return Example(load_image(sample.image()), *said, name=sample.file or f"image {sample.image_id}")


def samples(report: Report) -> Section | None:
    """The pictures."""
    if not report.examples:
        return None
    differing = sum(example.differs for example in report.examples)
    shown = len(report.examples)
    counted = f"The models say different things of {differing} of these {shown} pictures" if differing else ""
    told = f"{counted}, which come first." if counted else f"Of these {shown} pictures both models say the same."
    figures = (_figure(example, number, report.cost.names) for number, example in enumerate(report.examples, start=1))
    chosen = note(
        "The pictures are no fair sample: those on which the models differ are sought out, and of these the ones "
        "that cost most accuracy come first. The section on accuracy says how often they differ."
    )
    return Section("samples", "Samples", join([element("p", told), *figures, chosen]))


def _figure(example: Example, number: int, names: tuple[str, str]) -> Markup:
    mark = ("differ", "≠ Models differ") if example.differs else ("same", "= Models agree")
    badge = element("p", mark[1], class_=f"badge {mark[0]}")
    name = element("p", example.name, class_="file") if example.name else None
    said = [*(_answer(one, names) for one in example.answers), *(_caption(one, names) for one in example.captions)]
    picture = element(
        "img", src=jpeg_url(example.image, LARGEST, JPEG_QUALITY), alt=_alt(example, number), loading="lazy"
    )
    return element("figure", picture, element("figcaption", badge, name, *said), class_=f"panel example {mark[0]}")


def _alt(example: Example, number: int) -> str:
    """What the picture shows: as annotators describe it, or else as the original does."""
    for caption in example.captions:
        described = (*caption.truth, caption.original or caption.compressed)
        return f"Sample {number}: {described[0]}"
    return f"Sample {number}, which is asked: {'; '.join(said.question for said in example.answers)}"


def _answer(said: AnswerExample, names: tuple[str, str]) -> Markup:
    texts, marks = (said.original, said.compressed), (said.original_accuracy, said.compressed_accuracy)
    return join(
        [
            element("p", element("span", "Question", class_="what"), " ", said.question, class_="question"),
            _pair(texts, [_correctness(mark) for mark in marks], names, said.differs),
            _truth("Annotators", said.truth),
        ]
    )


def _caption(said: CaptionExample, names: tuple[str, str]) -> Markup:
    return join(
        [
            element("p", element("span", "Caption", class_="what"), class_="question"),
            _pair((said.original, said.compressed), ["", ""], names, said.differs),
            _truth("Reference", said.truth[:1]),
        ]
    )


def _correctness(accuracy: float | None) -> str:
    if accuracy is None:
        return ""
    return "✓ right" if accuracy == 1 else "✗ wrong" if accuracy == 0 else f"◐ {accuracy:.0%} right"


def _pair(texts: tuple[str | None, str], marks: list[str], names: tuple[str, str], differs: bool) -> Markup:
    cells = []
    for kind, name, text, mark in zip(("original", "compressed"), names, texts, marks, strict=True):
        title = element("dt", element("span", class_=f"key back-{kind}", aria_hidden="true"), f"{kind}, {name}")
        verdict = element("span", mark, class_="mark") if mark else None
        cells.append(element("div", title, element("dd", text or "(nothing)", " " if mark else None, verdict)))
    return element("dl", *cells, class_="pair differ" if differs else "pair")


def _truth(who: str, texts: Sequence[str]) -> Markup | None:
    different = list(dict.fromkeys(texts))
    if not different:
        return None
    more = f" and {len(different) - REFERENCES} more" if len(different) > REFERENCES else ""
    return element("p", f"{who}: {', '.join(different[:REFERENCES])}{more}", class_="truth")
