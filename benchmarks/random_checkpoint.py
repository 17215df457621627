"""A full-size BLIP with random weights, in Hugging Face layout: for parity, size and speed, where no hub is reached.

python -m benchmarks.random_checkpoint base FOLDER
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from transformers import (
    BlipConfig,
    BlipForConditionalGeneration,
    BlipForImageTextRetrieval,
    BlipForQuestionAnswering,
    PreTrainedModel,
)

from blipvino.demo import CHECKPOINT

VISION = {
    "base": {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12},
    "retrieval": {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12},
    "large": {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16},
}
MODELS = {
    "base": BlipForQuestionAnswering,
    "retrieval": BlipForImageTextRetrieval,
    "large": BlipForConditionalGeneration,
}


def random_model(size: str = "base", *, seed: int = 0) -> PreTrainedModel:
    """BLIP-base for question answering or for retrieval, or BLIP-large for captioning, in the published shapes.

    Weights have a standard deviation of 0.02 everywhere (``BlipVisionConfig``'s default of 1e-10 is degenerate), and
    the text model has 12 heads, as published checkpoints do (`transformers`' default is 8).
    """
    torch.manual_seed(seed)
    vision = {**VISION[size], "image_size": 384, "initializer_range": 0.02}
    text = {"num_attention_heads": 12, "encoder_hidden_size": vision["hidden_size"], "initializer_range": 0.02}
    config = BlipConfig(text_config=text, vision_config=vision)
    return MODELS[size](config).eval()


def write_random_checkpoint(folder: Path, size: str = "base", *, seed: int = 0) -> Path:
    """Save a random model with the demo checkpoint's tokenizer, whose ids are a subset of the model's."""
    random_model(size, seed=seed).to(torch.float16).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((CHECKPOINT / name).read_bytes())
    preprocessor = json.loads((CHECKPOINT / "preprocessor_config.json").read_text(encoding="utf-8"))
    preprocessor["size"] = {"height": 384, "width": 384}
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor, indent=2) + "\n", encoding="utf-8")
    return folder


def main() -> None:
    """Parse the command line and write the checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("size", choices=sorted(VISION))
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    print(write_random_checkpoint(options.folder, options.size))


if __name__ == "__main__":
    main()
