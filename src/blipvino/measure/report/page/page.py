"""The report's page: one HTML file that loads nothing, with no script, for light and dark, wide and narrow."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from blipvino.machine.versions import installed_version
from blipvino.measure.report.page.overview import headline, names_note, tiles, verdict
from blipvino.measure.report.page.parts import Section
from blipvino.measure.report.page.sections import sections
from blipvino.measure.report.report import Report
from blipvino.text.html_page import html_page
from blipvino.text.markup import Markup, element, join


def report_page(report: Report) -> str:
    """The file's text."""
    summary = Section("summary", "Summary", join([verdict(report), tiles(report), names_note(report)]))
    told = [summary, *sections(report)]
    title = headline(report)
    made = f"Made by blipvino {installed_version('blipvino')}, {report.made}."
    header = element("header", element("p", "blipvino report", class_="kicker"), element("h1", title))
    main = element("main", header, *map(_section, told), element("footer", element("p", made)))
    style = files(__package__).joinpath("report.css").read_text(encoding="utf-8")
    return html_page(f"{title} – blipvino report", style, _contents(told), main)


def _contents(told: Sequence[Section]) -> Markup:
    links = (element("li", element("a", one.title, href=f"#{one.name}")) for one in told)
    return element("nav", element("ol", *links), aria_label="Contents")


def _section(one: Section) -> Markup:
    return element("section", element("h2", one.title), one.body, id=one.name)
