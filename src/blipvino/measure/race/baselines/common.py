"""What the baselines share: prepared inputs, the greedy loop, and how their parts are timed."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from blipvino.arrays import FloatArray, IntArray
from blipvino.checkpoint.config import RESCALE_FACTOR, BlipConfig, TextConfig, parse_config, parse_preprocessor
from blipvino.checkpoint.tensors import load_checkpoint
from blipvino.measure.race.contender import Tokens
from blipvino.runtime.inputs.images import ImageProcessor
from blipvino.runtime.inputs.texts import TextProcessor

Step = Callable[[IntArray], FloatArray]
"""One decoding step: the latest token of every row, ``[B, 1]``, to the logits ``[B, vocab]`` of the next."""

_FILES = ("config.json", "preprocessor_config.json", "tokenizer.json")


@dataclass(frozen=True)
class Inputs:
    """What prepares a baseline's inputs: blipvino's own processors, which cost less than upstream's."""

    config: BlipConfig
    images: ImageProcessor
    texts: TextProcessor

    @classmethod
    def load(cls, folder: Path) -> Inputs:
        """Read the files that `copy_inputs` wrote."""
        config, preprocessor = (json.loads((folder / name).read_text(encoding="utf-8")) for name in _FILES[:2])
        parsed = parse_config(config, str(folder))
        images = ImageProcessor(parse_preprocessor(preprocessor, parsed.vision.image_size, str(folder)))
        return cls(parsed, images, TextProcessor.from_file(folder / _FILES[2], parsed.text))

    def pixel_values(self, images: Sequence[Image.Image]) -> FloatArray:
        """Images, resized and normalised: float32 ``[B, 3, size, size]``, one multiplication and addition a value."""
        mean, std = np.array(self.images.config.image_mean), np.array(self.images.config.image_std)
        scale, shift = (RESCALE_FACTOR / std).astype(np.float32), (-mean / std).astype(np.float32)
        values = np.ascontiguousarray(self.images.pixels(images).transpose(0, 3, 1, 2), dtype=np.float32)
        values *= scale[:, None, None]
        values += shift[:, None, None]
        return values


def copy_inputs(checkpoint: Path, folder: Path) -> None:
    """Put what `Inputs` reads beside a baseline's graphs."""
    folder.mkdir(parents=True, exist_ok=True)
    with load_checkpoint(checkpoint) as opened:
        contents = [json.dumps(opened.raw_config), json.dumps(opened.preprocessor)]
        contents.append(opened.require_tokenizer().read_text(encoding="utf-8"))
    for name, content in zip(_FILES, contents, strict=True):
        (folder / name).write_text(content, encoding="utf-8")


def build_once(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` make a file under another name and move it into place, unless it is there from an earlier run."""
    if path.exists():
        return
    partial = path.with_name(f"{path.stem}.partial{path.suffix}")
    write(partial)
    weights = partial.with_suffix(".bin")
    if weights.exists():  # an IR's other file goes first: where ``path`` is, all is
        weights.replace(path.with_suffix(".bin"))
    partial.replace(path)


def greedy(step: Step, rows: int, config: TextConfig, new_tokens: int, *, closes: bool = False) -> Tokens:
    """Decode ``new_tokens`` tokens a row from the start token.

    Args:
        step: of the decoder.
        rows: that are decoded together.
        config: of the decoder.
        new_tokens: of each row.
        closes: whether a row ends with the closing token; else that is never chosen, which is what `transformers`
            generates with ``min_new_tokens`` equal to ``max_new_tokens``.
    """
    tokens = np.full((rows, 1), config.bos_token_id, np.int64)
    made: Tokens = [[] for _ in range(rows)]
    is_open = np.ones(rows, bool)
    for _ in range(new_tokens):
        logits = step(tokens)
        if not closes:
            logits[:, config.sep_token_id] = -np.inf
        tokens = logits.argmax(axis=-1)[:, None]
        for row in np.flatnonzero(is_open):
            made[row].append(int(tokens[row, 0]))
        is_open &= tokens[:, 0] != config.sep_token_id
        if not is_open.any():
            break
    return made


def median_seconds(run: Callable[[], object], *, runs: int = 5, warm_ups: int = 2) -> float:
    """The median wall-clock time of a call."""
    seconds = []
    for _ in range(warm_ups + runs):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[warm_ups:])
