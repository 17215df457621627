"""The words of tables, for who meets them there first: the graphs that a model is cut into, and their treatments."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from blipvino.graphs.specs import GRAPHS
from blipvino.recipe import METHODS, OPTIONS, Treatment
from blipvino.text.tables import TextTable

TITLE = "What these words are"
SQNR = (
    "SQNR is the power of the signal over that of the error, in decibels (dB): higher is better; 10 dB more is a tenth "
    "of the error, and a bit less costs 6 dB."
)


def terms_table(graphs: Iterable[str], treatments: Iterable[str] = ()) -> TextTable:
    """Each word that is used of some graphs and treatments, once, with what it is.

    Args:
        graphs: their names; those that this version does not know are passed over.
        treatments: as they are printed.
    """
    rows = {name: GRAPHS[name].does for name in graphs if name in GRAPHS} | dict(_treatments(tuple(treatments)))
    return TextTable(TITLE, ("", ""), tuple(rows.items()), numbers=False)


def terms_of(treatments: Mapping[str, Treatment]) -> TextTable:
    """The words of what was done to each of some graphs."""
    return terms_table(treatments, map(str, treatments.values()))


def _treatments(printed: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Methods, and then options."""
    said = "\n".join(printed)
    for words in (METHODS, OPTIONS):
        yield from ((word, told) for word, told in words.items() if re.search(rf"\b{word}\b", said))
