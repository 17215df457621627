"""How well a retrieval checkpoint finds and matches: ``python -m training.retrieval_accuracy CHECKPOINT``."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import BlipForImageTextRetrieval

from blipvino.checkpoint.architectures import RETRIEVAL
from blipvino.demo.captions import caption
from blipvino.demo.contrasts import CONTRAST_TYPES
from blipvino.demo.scenes import Scene, Split, render, sample_scene, scene_rng
from blipvino.demo.statements import Statement, dense, placed, short, true_of
from training.command_line import checkpoint_folder, make_parser, positive, run_command
from training.examples import normalized
from training.retrieval_examples import encode
from training.retrieval_model import embed_images, embed_texts, match

PICTURES = 1000
CANDIDATES = 32
"""Pictures of the highest similarity to a text, whose matching decides among them."""
BATCH = 100


def distinct_scenes(split: Split, count: int) -> list[Scene]:
    """The first scenes of a split whose captions differ: of two pictures with one caption none is the right one."""
    found: dict[str, Scene] = {}
    for scene in _scenes(split):
        found.setdefault(caption(scene), scene)
        if len(found) == count:
            break
    return list(found.values())


def _scenes(split: Split) -> Iterator[Scene]:
    index = 0
    while True:
        yield sample_scene(split, index)
        index += 1


@torch.no_grad()
def retrieval_accuracy(
    model: BlipForImageTextRetrieval, tokenizer: Tokenizer, scenes: list[Scene], device: torch.device
) -> dict[str, float]:
    """Recall of pictures by their captions, and the share of texts that matching judges rightly.

    Returns:
        Shares from 0 to 1. "R@1 by similarity": a caption's own picture has the highest similarity of embeddings.
        "R@1": it has the highest sum of that and the matching logit among the `CANDIDATES` most similar. "whole",
        "short" and "placed", likewise: the first picture is as a text says, whatever picture it was made of (one text
        each); those of "whole" are the captions, which are true of pictures with more in them, too.
        "matching": texts that are true (each type's as often as its false ones) or false by one word, all and per type
        of the word. "accepted without …": captions that match although they leave something out, as they should.
    """
    image_embeds = torch.cat(list(_embeds(model, scenes, device)))
    return {
        **_found_by_captions(model, tokenizer, scenes, image_embeds),
        **_found_by_statements(model, tokenizer, scenes, image_embeds),
        **_matching(model, tokenizer, scenes, image_embeds),
        **_accepted(model, tokenizer, scenes, image_embeds),
    }


def _firsts(model: BlipForImageTextRetrieval, texts: Tensor, image_embeds: Tensor) -> dict[str, Tensor]:
    """Which picture texts ``[N, T]`` find first ``[N, 1]``, by similarity, and ranked anew by matching."""
    similarity = (embed_texts(model, texts) @ embed_images(model, image_embeds).T).float()
    best, candidates = similarity.topk(min(CANDIDATES, len(image_embeds)))
    reranked = torch.stack(
        [match(model, image_embeds[c], _repeat(t, len(c)))[:, 1] for c, t in zip(candidates, texts, strict=True)]
    )
    chosen = candidates.gather(1, (best + reranked.float()).argmax(dim=1, keepdim=True))
    return {" by similarity": candidates[:, :1], "": chosen}


def _shares(name: str, firsts: dict[str, Tensor], right: Tensor) -> dict[str, float]:
    """How many of the first pictures are right; ``right`` ``[N, pictures]``."""
    return {f"{name}{how}": right.gather(1, first).float().mean().item() for how, first in firsts.items()}


def _found_by_captions(
    model: BlipForImageTextRetrieval, tokenizer: Tokenizer, scenes: list[Scene], image_embeds: Tensor
) -> dict[str, float]:
    whole = [dense(scene) for scene in scenes]
    texts = encode([statement.text for statement in whole], tokenizer).to(image_embeds.device)
    firsts = _firsts(model, texts, image_embeds)
    own = torch.eye(len(scenes), dtype=torch.bool, device=image_embeds.device)
    as_said = torch.from_numpy(true_of(whole, scenes)).to(image_embeds.device)
    return {**_shares("R@1", firsts, own), **_shares("whole", firsts, as_said)}


def _found_by_statements(
    model: BlipForImageTextRetrieval, tokenizer: Tokenizer, scenes: list[Scene], image_embeds: Tensor
) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, draw in {"short": short, "placed": placed}.items():
        drawn = [draw(scene, scene_rng(scene.split, scene.index, 3)) for scene in scenes]
        statements = [each for each in drawn if isinstance(each, Statement)]
        right = torch.from_numpy(true_of(statements, scenes)).to(image_embeds.device)
        texts = encode([each.text for each in statements], tokenizer).to(image_embeds.device)
        found |= _shares(name, _firsts(model, texts, image_embeds), right)
    return found


def _repeat(row: Tensor, times: int) -> Tensor:
    return row[None].expand(times, -1)


def _embeds(model: BlipForImageTextRetrieval, scenes: list[Scene], device: torch.device) -> Iterator[Tensor]:
    for start in range(0, len(scenes), BATCH):
        images = np.stack([render(scene) for scene in scenes[start : start + BATCH]])
        yield model.vision_model(pixel_values=normalized(torch.from_numpy(images).to(device))).last_hidden_state


def _matching(
    model: BlipForImageTextRetrieval, tokenizer: Tokenizer, scenes: list[Scene], image_embeds: Tensor
) -> dict[str, float]:
    right: dict[str, list[bool]] = defaultdict(list)
    for scene, embeds in zip(scenes, image_embeds, strict=True):
        rng = scene_rng(scene.split, scene.index, 2)
        pairs = [pair for ask in CONTRAST_TYPES.values() if (pair := ask(scene, rng)) is not None]
        texts = encode([text for pair in pairs for text in (pair.true, pair.false)], tokenizer).to(embeds.device)
        matches = match(model, embeds[None].expand(len(texts), -1, -1), texts).argmax(dim=1).view(-1, 2).tolist()
        for pair, (of_true, of_false) in zip(pairs, matches, strict=True):
            for name in ("matching", f"matching, {pair.kind}"):
                right[name] += [of_true == 1, of_false == 0]
    return {name: float(np.mean(values)) for name, values in sorted(right.items())}


def _accepted(
    model: BlipForImageTextRetrieval, tokenizer: Tokenizer, scenes: list[Scene], image_embeds: Tensor
) -> dict[str, float]:
    accepted: dict[str, list[bool]] = defaultdict(list)
    for scene, embeds in zip(scenes, image_embeds, strict=True):
        for item in scene.objects:
            others = [other for other in scene.objects if other is not item]
            shorter = {"accepted without an object": others} if others else {}
            if item.texture != "plain":
                objects = [replace(o, texture="plain") if o is item else o for o in scene.objects]
                shorter["accepted without a texture"] = objects
            for name, objects in shorter.items():
                ids = encode([caption(replace(scene, objects=tuple(objects)))], tokenizer).to(embeds.device)
                accepted[name].append(bool(match(model, embeds[None], ids).argmax() == 1))
    return {name: float(np.mean(values)) for name, values in sorted(accepted.items())}


def main() -> None:
    """Parse the command line, measure and print."""
    parser = make_parser(__doc__)
    parser.add_argument("checkpoint", help="a folder, or `demo-retrieval`, the embedded one")
    parser.add_argument("--split", choices=("validation", "test"), default="test", help="of scenes (default: test)")
    of_pictures = f"all with captions of their own; the text's is found among them (default: {PICTURES})"
    parser.add_argument("--pictures", type=positive, default=PICTURES, help=of_pictures)
    options = parser.parse_args()
    folder = checkpoint_folder(options.checkpoint, RETRIEVAL)
    model = BlipForImageTextRetrieval.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    scenes = distinct_scenes(options.split, options.pictures)
    print(json.dumps(retrieval_accuracy(model, tokenizer, scenes, torch.device("cpu")), indent=2))


if __name__ == "__main__":
    run_command(main)
