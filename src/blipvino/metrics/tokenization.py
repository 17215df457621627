"""Words of captions, nearly as the COCO caption evaluation splits them.

Upstream runs Stanford's ``PTBTokenizer`` (CoreNLP 3.4.1, in Java, with ``-lowerCase``) and leaves out the tokens that
are punctuation (``pycocoevalcap/tokenizer/ptbtokenizer.py`` of https://github.com/tylin/coco-caption). This follows the
same conventions of the Penn Treebank, with rules enough for captions:

- lower case; quotation marks, dashes and the punctuation ``. , ; : ? !`` are left out;
- brackets are words of their own, which upstream keeps too, since it lowers ``-LRB-`` to ``-lrb-`` before it looks;
- clitics are split off: "don't" is "do n't", "man's" is "man 's"; so are "can not", "gon na" and their kind;
- words with hyphens, slashes or apostrophes inside, numbers ("1,000", "3.5", "4:30") and abbreviations ("u.s.", "mr.")
  stay whole; symbols ("$", "%", "&") stand alone.

Where it differs: abbreviations that are not in `_ABBREVIATIONS` lose their period; e-mail and web addresses, emoticons,
SGML tags, fractions ("1 1/2") and telephone numbers are split as any other text; characters that are not ASCII are kept
as they are. The captions of COCO hold next to none of these.
"""

from __future__ import annotations

import re

Tokens = tuple[str, ...]

_ABBREVIATIONS = "mr mrs ms dr prof st jr sr vs mt ft inc co corp ltd"
_LEFT_OUT = frozenset(("''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"))
_CLITIC = re.compile(r"(?<=\w)(n't|'(?:s|m|d|re|ve|ll))(?!\w)")
_TWO_WORDS = re.compile(r"\b(?:(can)(not)|(gon|wan)(na)|(got)(ta)|(lem|gim)(me))\b|(?<!\w)('t)(is|was)\b")
_WORD = r"\w+(?:[-/'.&]\w+)*"
_TOKEN = re.compile(
    rf"(?:[a-z]\.){{2,}}"  # u.s.
    rf"|(?:{_ABBREVIATIONS.replace(' ', '|')})\.(?=\s+\w)"
    rf"|n't(?!\w)|'(?:s|m|d|re|ve|ll|t)(?!\w)"
    rf"|\d+(?:[.,:]\d+)+"
    rf"|{_WORD}"
    rf"|\.\.\.|--+|[^\w\s]"
)
_SAME_MARK = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": ".", "\n": " "})


def tokenize_caption(caption: str) -> Tokens:
    """The words of a caption, in lower case and without punctuation."""
    text = caption.translate(_SAME_MARK).lower().replace('"', " ")
    text = _TWO_WORDS.sub(lambda match: " ".join(filter(None, match.groups())), text)
    text = _CLITIC.sub(r" \1", text)
    return tuple(token for token in _TOKEN.findall(text) if token not in _LEFT_OUT and not token.startswith("--"))
