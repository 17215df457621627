"""Make the shapes world's vocabulary: ``python -m training.vocabulary VOCAB.txt``, after a change of its words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tokenizers import trainers

from blipvino.demo.captions import caption_from_the_top, references
from blipvino.demo.questions import sample_questions
from blipvino.demo.scenes import sample_scene, scene_rng
from blipvino.demo.vocabulary import SPECIAL_TOKENS, tokenizer_of
from training.command_line import make_parser, run_command

SIZE = 320


def train_vocabulary(scenes: int = 2000) -> dict[str, int]:
    """WordPieces of the texts of the first training scenes; pieces that no word needs may come in any order."""
    tokenizer = tokenizer_of({"[UNK]": 0})
    trainer = trainers.WordPieceTrainer(vocab_size=SIZE, special_tokens=list(SPECIAL_TOKENS), show_progress=False)
    tokenizer.train_from_iterator(texts(scenes), trainer)
    vocabulary: dict[str, int] = tokenizer.get_vocab()
    return vocabulary


def texts(scenes: int) -> Iterator[str]:
    """What is said of the first training scenes."""
    for index in range(scenes):
        scene = sample_scene("train", index)
        yield from (*references(scene), caption_from_the_top(scene))
        for question in sample_questions(scene, scene_rng("train", index, 1), 10):
            yield from (question.text, question.answer)


def main() -> None:
    """Parse the command line, train and write."""
    parser = make_parser(__doc__)
    parser.add_argument("vocabulary", type=Path, help="the file to write, one piece a line")
    options = parser.parse_args()
    vocabulary = train_vocabulary()
    pieces = sorted(vocabulary, key=lambda piece: vocabulary[piece])
    options.vocabulary.write_text("".join(f"{piece}\n" for piece in pieces), encoding="utf-8")


if __name__ == "__main__":
    run_command(main)
