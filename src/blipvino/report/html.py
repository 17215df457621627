"""A comparison as one self-contained HTML file: no script, no network, light and dark."""

from __future__ import annotations

import base64
from html import escape
from io import BytesIO

from PIL import Image

from blipvino.bench.compare import Comparison, Picture
from blipvino.report.content import TextTable, comparison_tables, machine_table

LARGEST_PICTURE = (640, 640)
"""Pixels; larger images are shown smaller."""
STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --mark: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --mark: #f2b8b5; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; min-width: 24rem; }
th, td { padding: .3rem .8rem; border-bottom: 1px solid var(--line); text-align: left; }
.numbers :is(th, td):not(:first-child) { text-align: right; font-variant-numeric: tabular-nums; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: 1rem; }
figure { margin: 0; padding: .8rem; background: var(--soft); border-radius: .5rem; }
figure img { width: 100%; image-rendering: auto; border-radius: .3rem; }
figcaption { font-size: .9rem; } .differs { color: var(--mark); font-weight: 600; }
"""


def html_report(comparison: Comparison) -> str:
    """The report's text. Samples on which the two models differ come first."""
    pictures = sorted(comparison.pictures, key=lambda picture: not _differs(picture))
    before, after = comparison.names
    figures = "".join(_figure(picture, comparison.names) for picture in pictures)
    parts = [
        f"<h1>blipvino: {escape(comparison.original)}, {escape(after)} beside {escape(before)}</h1>",
        f"<p>Compared on {escape(comparison.data)}.</p>",
        *(_table(content) for content in comparison_tables(comparison)),
        f'<h2>Samples</h2><div class="pictures">{figures}</div>',
        _table(machine_table(comparison)),
    ]
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    title = f"<title>blipvino report: {escape(comparison.original)}</title>"
    page = f'<html lang="en"><head>{head}{title}<style>{STYLE}</style></head>\n<body>\n' + "\n".join(parts)
    return f"<!doctype html>\n{page}\n</body></html>\n"


def _table(content: TextTable) -> str:
    header = "".join(f"<th>{escape(column)}</th>" for column in content.columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in content.rows)
    kind = "numbers" if content.numbers else "words"
    table = f'<table class="{kind}"><thead><tr>{header}</tr></thead><tbody>{body}</tbody></table>'
    return f'<h2>{escape(content.title)}</h2><div class="scroll">{table}</div>'


def _differs(picture: Picture) -> bool:
    answers = picture.answers
    return picture.captions[0] != picture.captions[1] or (answers is not None and answers[0] != answers[1])


def _figure(picture: Picture, names: tuple[str, str]) -> str:
    lines = [_pair("caption", picture.captions, names)]
    if picture.question is not None and picture.answers is not None:
        lines.append(f"<p><b>{escape(picture.question)}</b></p>" + _pair("answer", picture.answers, names))
    alt = escape(f"Sample image; the original says: {picture.captions[0]}", quote=True)
    image = f'<img src="{_data_url(picture.image)}" alt="{alt}">'
    return f"<figure>{image}<figcaption>{''.join(lines)}</figcaption></figure>"


def _pair(what: str, texts: tuple[str, str], names: tuple[str, str]) -> str:
    if texts[0] == texts[1]:
        return f"<p>{what}, both: {escape(texts[0])}</p>"
    both = "<br>".join(f"{what}, {escape(name)}: {escape(text)}" for name, text in zip(names, texts, strict=True))
    return f'<p class="differs">{both}</p>'


def _data_url(image: Image.Image) -> str:
    buffer = BytesIO()
    shown = image.copy()
    shown.thumbnail(LARGEST_PICTURE)
    shown.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
