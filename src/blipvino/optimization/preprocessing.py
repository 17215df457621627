"""What surrounds a checkpoint's graphs in a bundle: tokenizer, image preprocessing, configuration."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tokenizers import BertWordPieceTokenizer, Tokenizer, decoders

from blipvino.checkpoint.tensors import CONFIG_FILE, Checkpoint
from blipvino.checkpoint.text_length import GENERATION_FILE
from blipvino.errors import BundleError, CheckpointError
from blipvino.runtime.inputs.images import ImageProcessor
from blipvino.runtime.inputs.texts import TextProcessor

CLEAN_UP = (" .", " ?", " !", " ,", " ' ", " n't", " 'm", " 's", " 've", " 're")
"""What upstream's ``clean_up_tokenization`` strips of its spaces, in its order."""


@dataclass(frozen=True)
class Processors:
    """What prepares a checkpoint's inputs."""

    images: ImageProcessor
    texts: TextProcessor


def write_preprocessing(checkpoint: Checkpoint, folder: Path) -> Processors:
    """Put the tokenizer, the image preprocessing and the configuration of a checkpoint into a folder.

    Returns:
        The processors that these files make, so that what cannot be used is refused now.

    Raises:
        CheckpointError: a file is missing or cannot be used.
    """
    tokenizer_file = checkpoint.require_tokenizer()
    if tokenizer_file.suffix == ".json":
        (folder / "tokenizer.json").write_bytes(tokenizer_file.read_bytes())
    else:
        _tokenizer_from_vocabulary(tokenizer_file).save(str(folder / "tokenizer.json"))
    if _cleans_up_spaces(checkpoint):
        _add_clean_up(folder / "tokenizer.json")
    contents = {"preprocessor_config.json": checkpoint.preprocessor, CONFIG_FILE: checkpoint.raw_config}
    if checkpoint.generation:
        contents[GENERATION_FILE] = checkpoint.generation
    for name, content in contents.items():
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    _ = checkpoint.text_length  # what cannot be used is refused now
    try:
        texts = TextProcessor.from_file(folder / "tokenizer.json", checkpoint.config.text)
    except BundleError as error:
        raise CheckpointError(f"{checkpoint.source}: {tokenizer_file.name} is not a tokenizer") from error
    return Processors(ImageProcessor(checkpoint.preprocessor_config), texts)


def _cleans_up_spaces(checkpoint: Checkpoint) -> bool:
    path = checkpoint.folder / "tokenizer_config.json"
    return path.is_file() and bool(json.loads(path.read_text(encoding="utf-8")).get("clean_up_tokenization_spaces"))


def _add_clean_up(path: Path) -> None:
    """Make ``clean_up_tokenization_spaces`` of ``tokenizer_config.json`` a part of the tokenizer's own decoder."""
    tokenizer = Tokenizer.from_file(str(path))
    replacements = [decoders.Replace(text, text.strip()) for text in CLEAN_UP]
    tokenizer.decoder = decoders.Sequence([tokenizer.decoder, decoders.Fuse(), *replacements])
    tokenizer.save(str(path))


def _tokenizer_from_vocabulary(path: Path) -> BertWordPieceTokenizer:
    """BERT's uncased tokenizer, as upstream builds it from a bare ``vocab.txt``."""
    # Not splitlines(), which would also break at characters such as U+2028 and shift every later id.
    try:
        tokens = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path}: cannot be read as a vocabulary ({error})") from error
    vocabulary = {token: index for index, token in enumerate(tokens)}
    missing = [token for token in ("[UNK]", "[CLS]", "[SEP]") if token not in vocabulary]
    if missing:
        raise CheckpointError(f"{path}: no {missing[0]} in the vocabulary; expected a BERT WordPiece vocabulary")
    return BertWordPieceTokenizer(vocab=vocabulary, lowercase=True)
