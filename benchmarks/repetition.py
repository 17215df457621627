"""What `no_repeat_ngram_size`, `repetition_penalty` and best-of-N do to repetition and to CIDEr-D.

blipvino optimize demo-retrieval -o out/retrieval
python -m benchmarks.repetition out/demo/bundle --rerank out/retrieval

Repetition is the share of n-grams of words that came before in the same caption (Welleck et al., "Neural Text
Generation with Unlikelihood Training", 2020, section 6). Of captions that list things, some of it is as it should be:
the first row has that of the references.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from blipvino.data import DEFAULT_SEED, Sample, open_source, take
from blipvino.metrics.bootstrap import estimate, resampled_sums
from blipvino.metrics.caption_metrics import CAPTION_METRICS, ReferenceCaptions
from blipvino.metrics.right_captions import caption_rule, right_captions
from blipvino.metrics.tokenization import Tokens, tokenize_caption
from blipvino.runtime.blip import Blip
from blipvino.runtime.reranking import DEFAULT_BEST_OF, best_captions
from blipvino.runtime.retriever import BlipRetriever

COLUMNS = ("captions", "words", "repeated bigrams, %", "repeated trigrams, %", "CIDEr-D × 100", "right, %")
GREEDY: dict[str, dict[str, Any]] = {
    "greedy": {},
    "no_repeat_ngram_size=3": {"no_repeat_ngram_size": 3},
    "no_repeat_ngram_size=2": {"no_repeat_ngram_size": 2},
    "repetition_penalty=1.1": {"repetition_penalty": 1.1},
    "repetition_penalty=1.5": {"repetition_penalty": 1.5},
}


@dataclass(frozen=True)
class Subject:
    """What is captioned, and by whom.

    Attributes:
        blip: the captioning model.
        samples: captioned images.
        rule: the CIDEr-D from which on a caption is right; None asks for a reference word for word.
        seed: of what is drawn, and of the bootstrap.
    """

    blip: Blip
    samples: Sequence[Sample]
    rule: float | None
    seed: int

    def drawn(self, temperature: float) -> dict[str, Any]:
        """Options of sampling from all tokens."""
        return {"do_sample": True, "top_k": 0, "temperature": temperature, "seed": self.seed}

    def captions(self, **options: Any) -> list[str]:
        """A caption of each image."""
        return list(self.blip.caption_stream((sample.image() for sample in self.samples), batch_size=16, **options))


def repeated(texts: Sequence[Tokens], n: int) -> float:
    """The share of n-grams that came before in their text, from 0 to 1."""
    ngrams = [[text[start : start + n] for start in range(len(text) - n + 1)] for text in texts]
    total = sum(map(len, ngrams))
    return 1 - sum(len(set(those)) for those in ngrams) / total if total else 0.0


def row(name: str, captions: Sequence[str], subject: Subject) -> str:
    """A row of the table, as Markdown."""
    known = [sample.captions for sample in subject.samples]
    words = [tokenize_caption(text) for text in captions]
    statistics = ReferenceCaptions([[tokenize_caption(text) for text in those] for those in known]).statistics(words)
    cider = estimate(CAPTION_METRICS["CIDEr-D"], statistics, resampled_sums(statistics, subject.seed))
    value, low, high = (f"{100 * number:.1f}" for number in (cider.value, cider.low, cider.high))
    right = 100 * right_captions(captions, known, subject.rule).mean()
    shares = " | ".join(f"{100 * repeated(words, n):.1f}" for n in (2, 3))
    return f"| {name} | {np.mean(list(map(len, words))):.1f} | {shares} | {value} [{low}, {high}] | {right:.1f} |"


def rows(subject: Subject, retriever: BlipRetriever | None, options: argparse.Namespace) -> Iterator[str]:
    """All rows."""
    yield f"| {' | '.join(COLUMNS)} |"
    yield "|---" * len(COLUMNS) + "|"
    yield row("references, the first of each", [sample.captions[0] for sample in subject.samples], subject)
    for name, given in GREEDY.items():
        yield row(name, subject.captions(**given), subject)
    drawing = subject.drawn(options.temperature)
    yield row(f"drawn, temperature={options.temperature:g}", subject.captions(**drawing), subject)
    if retriever is not None:
        images = (sample.image() for sample in subject.samples)
        best = [
            found.best.text
            for found in best_captions(subject.blip, retriever, images, best_of=options.best_of, **drawing)
        ]
        yield row(f"the best of {options.best_of} that were drawn so, by matching", best, subject)


def main() -> None:
    """Parse the command line, print the table row by row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, help="that captions")
    parser.add_argument("--rerank", type=Path, help="a bundle for retrieval, which chooses among drawn captions")
    parser.add_argument("--best-of", type=int, default=DEFAULT_BEST_OF)
    parser.add_argument("--temperature", type=float, default=1.0, help="of what is drawn")
    parser.add_argument("--data", default="demo:test", help="captioned images")
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED)
    options = parser.parse_args()
    source = open_source(options.data)
    samples = [sample for sample in take(source, options.samples, options.seed, spread=True) if sample.captions]
    subject = Subject(Blip.load(options.bundle), samples, caption_rule(source.name, "auto"), options.seed)
    retriever = None if options.rerank is None else BlipRetriever.load(options.rerank)
    for line in rows(subject, retriever, options):
        print(line, flush=True)


if __name__ == "__main__":
    main()
