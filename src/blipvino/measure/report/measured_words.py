"""The words of what is measured, for who meets them first in a table: each is explained where it is shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from blipvino.graphs.terms import TITLE
from blipvino.text.tables import TextTable

_WORDS = {
    "VQA accuracy": "how right answers are: one that three or more of ten annotators gave counts whole",
    "drop": "accuracy of the original minus that of the compressed model: above 0 is a loss",
    "agreement": "how often both models say the same, word for word",
    "BLEU": "how many of a caption's sequences of words the references have, up to four words long",
    "ROUGE-L": "how much of the references a caption has in their order",
    "CIDEr-D": "how alike a caption and its references are, rare words counting more; up to 1,000",
    "calibration error": "how far confidence is from the share of texts that is right",
    "AURC": "area under the risk-coverage curve: the share of wrong texts, the surest kept first; lower is better",
    "Recall at k": "how often what is looked for is among the first k that are found",
    "re-ranked": "the most similar are put in order by matching, which looks at image and text together",
}


def words_in(tables: Iterable[TextTable]) -> TextTable:
    """The words that some tables use in their titles, their columns or the names of their rows, with what each is."""
    said = "\n".join(text for table in tables for text in _texts(table))
    rows = tuple((word, told) for word, told in _WORDS.items() if word.lower() in said.lower())
    return TextTable(TITLE, ("", ""), rows, numbers=False)


def _texts(table: TextTable) -> Iterator[str]:
    yield table.title
    yield from table.columns
    yield from (row[0] for row in table.rows)
    yield from (row[1] for row in table.rows if len(row) > 1)
