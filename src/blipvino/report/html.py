"""A comparison as one self-contained HTML file: no script, no network, light and dark."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from io import BytesIO

from PIL import Image

from blipvino.bench.compare import Comparison, Picture

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --mark: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --mark: #f2b8b5; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; min-width: 24rem; }
th, td { padding: .3rem .8rem; border-bottom: 1px solid var(--line); text-align: right; }
td { font-variant-numeric: tabular-nums; }
th:first-child, td:first-child { text-align: left; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: 1rem; }
figure { margin: 0; padding: .8rem; background: var(--soft); border-radius: .5rem; }
figure img { width: 100%; image-rendering: auto; border-radius: .3rem; }
figcaption { font-size: .9rem; } .differs { color: var(--mark); font-weight: 600; }
"""


def html_report(comparison: Comparison) -> str:
    """The report's text. Samples on which the two models differ come first."""
    pictures = sorted(comparison.pictures, key=lambda picture: not _differs(picture))
    recipe = comparison.recipe
    parts = [
        f"<h1>blipvino: {escape(comparison.original)}, recipe {escape(recipe)}</h1>",
        f"<p>The compressed model beside its original in FP16, on {escape(comparison.data)}.</p>",
        _section("Size", ["model", "FP16, KB", f"{recipe}, KB", "compression rate"], _size_rows(comparison)),
        _section(
            "Latency, median", ["task", "samples", "FP16, ms", f"{recipe}, ms", "speed-up"], _latency_rows(comparison)
        ),
        _section(
            "Agreement and accuracy",
            ["question type", "count", "agreement", "accuracy FP16", f"accuracy {recipe}"],
            _agreement_rows(comparison),
        ),
        '<h2>Samples</h2><div class="pictures">' + "".join(_figure(p, recipe) for p in pictures) + "</div>",
        _section("Machine", ["", ""], _machine_rows(comparison)),
    ]
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    title = f"<title>blipvino report: {escape(comparison.original)}</title>"
    page = f'<html lang="en"><head>{head}{title}<style>{STYLE}</style></head>\n<body>\n' + "\n".join(parts)
    return f"<!doctype html>\n{page}\n</body></html>\n"


def _section(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    header = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    table = f"<table><thead><tr>{header}</tr></thead><tbody>{body}</tbody></table>"
    return f'<h2>{escape(title)}</h2><div class="scroll">{table}</div>'


def _size_rows(comparison: Comparison) -> Iterable[Sequence[str]]:
    for size in comparison.sizes:
        yield size.name, f"{size.original / 1024:,.2f}", f"{size.compressed / 1024:,.2f}", f"{size.rate:.3f}"


def _latency_rows(comparison: Comparison) -> Iterable[Sequence[str]]:
    for row in comparison.latencies:
        numbers = (f"{row.original * 1e3:.1f}", f"{row.compressed * 1e3:.1f}", f"{row.speed_up:.2f}")
        yield row.task, str(row.samples), *numbers


def _agreement_rows(comparison: Comparison) -> Iterable[Sequence[str]]:
    for row in (*comparison.answers, comparison.captions):
        accuracies = ["" if value is None else f"{value:.2%}" for value in (row.original, row.compressed)]
        yield row.kind, str(row.count), f"{row.share:.2%}", *accuracies


def _machine_rows(comparison: Comparison) -> Iterable[Sequence[str]]:
    machine = comparison.machine
    yield "processor", f"{machine.cpu}, {machine.cores} cores ({', '.join(machine.capabilities)})"
    yield "system", f"{machine.system}, Python {machine.python}"
    yield "libraries", ", ".join(f"{name} {version}" for name, version in machine.libraries.items())


def _differs(picture: Picture) -> bool:
    answers = picture.answers
    return picture.captions[0] != picture.captions[1] or (answers is not None and answers[0] != answers[1])


def _figure(picture: Picture, recipe: str) -> str:
    lines = [_pair("caption", picture.captions, recipe)]
    if picture.question is not None and picture.answers is not None:
        lines.append(f"<p><b>{escape(picture.question)}</b></p>" + _pair("answer", picture.answers, recipe))
    alt = escape(f"Sample image; the original says: {picture.captions[0]}", quote=True)
    return (
        f'<figure><img src="{_data_url(picture.image)}" alt="{alt}"><figcaption>{"".join(lines)}</figcaption></figure>'
    )


def _pair(what: str, texts: tuple[str, str], recipe: str) -> str:
    if texts[0] == texts[1]:
        return f"<p>{what}, both: {escape(texts[0])}</p>"
    both = f"{what}, FP16: {escape(texts[0])}<br>{what}, {escape(recipe)}: {escape(texts[1])}"
    return f'<p class="differs">{both}</p>'


def _data_url(image: Image.Image) -> str:
    buffer = BytesIO()
    image.convert("RGB").save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
