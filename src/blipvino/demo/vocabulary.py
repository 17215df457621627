"""The shapes world's own WordPiece vocabulary, saved as a Hugging Face BERT tokenizer."""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from blipvino.demo import CHECKPOINT

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "[ENC]")
"""BERT's five, then BLIP's decoder start and encoder tokens. A token's id is its place here."""


VOCABULARY = CHECKPOINT / "vocab.txt"
"""Every word of the world is one token of it. It is kept, and not trained anew, for a trainer of vocabularies may order
equally frequent pieces otherwise each time."""


def build_tokenizer() -> Tokenizer:
    """The shapes world's tokenizer."""
    pieces = VOCABULARY.read_text(encoding="utf-8").splitlines()
    return tokenizer_of({piece: number for number, piece in enumerate(pieces)})


def tokenizer_of(vocabulary: dict[str, int]) -> Tokenizer:
    """BERT's tokenizer over a vocabulary of WordPieces and their ids."""
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    ids = [(token, SPECIAL_TOKENS.index(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ids)
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path, max_length: int) -> None:
    """Write ``tokenizer.json``, ``vocab.txt`` and ``tokenizer_config.json`` as `transformers` lays them out."""
    tokenizer.save(str(folder / "tokenizer.json"))
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda entry: entry[1])
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token, _ in vocabulary), encoding="utf-8")
    settings = {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": True,
        "model_max_length": max_length,
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
        "bos_token": "[DEC]",
        "additional_special_tokens": ["[ENC]"],
        "model_input_names": ["input_ids", "attention_mask"],
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
