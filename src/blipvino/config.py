"""The part of a BLIP checkpoint's ``config.json`` that decides its graphs, as frozen dataclasses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, TypeVar

from blipvino.errors import CheckpointError

QUESTION_ANSWERING = "BlipForQuestionAnswering"
CAPTIONING = "BlipForConditionalGeneration"
RETRIEVAL = "BlipForImageTextRetrieval"
ARCHITECTURES = (QUESTION_ANSWERING, CAPTIONING, RETRIEVAL)


@dataclass(frozen=True)
class VisionConfig:
    """The vision transformer. Defaults are those of `transformers`' ``BlipVisionConfig``."""

    hidden_size: int = 768
    intermediate_size: int = 3072
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    image_size: int = 384
    patch_size: int = 16
    hidden_act: str = "gelu"
    layer_norm_eps: float = 1e-5

    @property
    def head_size(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.num_attention_heads

    @property
    def grid_size(self) -> int:
        """Patches along one side of the image."""
        return self.image_size // self.patch_size

    @property
    def num_positions(self) -> int:
        """Image embeddings of one image: its patches and the class token."""
        return self.grid_size**2 + 1


@dataclass(frozen=True)
class TextConfig:
    """The text encoder and decoder, which share one shape. Defaults: `transformers`' ``BlipTextConfig``.

    Published BLIP checkpoints leave ``num_attention_heads`` at 12; `transformers`' default for a missing value is 8.
    """

    vocab_size: int = 30524
    hidden_size: int = 768
    encoder_hidden_size: int = 768
    intermediate_size: int = 3072
    num_hidden_layers: int = 12
    num_attention_heads: int = 8
    max_position_embeddings: int = 512
    hidden_act: str = "gelu"
    layer_norm_eps: float = 1e-12
    bos_token_id: int = 30522
    pad_token_id: int = 0
    sep_token_id: int = 102

    @property
    def head_size(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.num_attention_heads


@dataclass(frozen=True)
class BlipConfig:
    """A checkpoint's class (one of `ARCHITECTURES`) and the shape of its two towers."""

    architecture: str
    vision: VisionConfig
    text: TextConfig

    @property
    def answers_questions(self) -> bool:
        """Whether the checkpoint has a question encoder that feeds its decoder."""
        return self.architecture == QUESTION_ANSWERING


def parse_config(content: Mapping[str, Any], source: str) -> BlipConfig:
    """Read a parsed ``config.json``.

    Args:
        content: the file's content.
        source: where it came from, for messages.

    Raises:
        CheckpointError: not a BLIP checkpoint, or a shape that no BLIP can have.
    """
    if content.get("model_type") != "blip":
        found = content.get("model_type", "no model_type")
        raise CheckpointError(f"{source}: expected a BLIP checkpoint (model_type 'blip'), found {found!r}")
    architecture = (content.get("architectures") or ["none"])[0]
    if architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise CheckpointError(f"{source}: architecture {architecture!r} is not supported; expected one of {known}")
    vision = _section(VisionConfig, content, "vision_config", source)
    # As in transformers' BlipConfig, whatever the file says: the text model attends to the vision model's width.
    text_values = {**content.get("text_config", {}), "encoder_hidden_size": vision.hidden_size}
    text = _section(TextConfig, {"text_config": text_values}, "text_config", source)
    _check_shapes(vision, text, source)
    return BlipConfig(architecture, vision, text)


_Section = TypeVar("_Section", VisionConfig, TextConfig)


def _section(kind: type[_Section], content: Mapping[str, Any], name: str, source: str) -> _Section:
    given = content.get(name) or {}
    values: dict[str, Any] = {}
    for field in fields(kind):
        assert field.default is not MISSING
        value = given.get(field.name, field.default)
        expected = (int, float) if isinstance(field.default, float) else type(field.default)
        if not isinstance(value, expected) or isinstance(value, bool):
            raise CheckpointError(
                f"{source}: {name}.{field.name} is {value!r}, expected {type(field.default).__name__}"
            )
        values[field.name] = value
    return kind(**values)


def _check_shapes(vision: VisionConfig, text: TextConfig, source: str) -> None:
    for name, section in (("vision_config", vision), ("text_config", text)):
        for field in fields(section):
            value = getattr(section, field.name)
            is_count = field.name.endswith(("size", "heads", "layers"))
            if isinstance(value, int) and value < (1 if is_count else 0):
                raise CheckpointError(f"{source}: {name}.{field.name} is {value}, expected a positive number")
        if section.hidden_size % section.num_attention_heads:
            raise CheckpointError(
                f"{source}: {name}.hidden_size {section.hidden_size} is not a multiple of "
                f"num_attention_heads {section.num_attention_heads}"
            )
        if section.hidden_act != "gelu":
            raise CheckpointError(
                f"{source}: {name}.hidden_act {section.hidden_act!r} is not supported; expected 'gelu'"
            )
    if vision.image_size % vision.patch_size:
        raise CheckpointError(
            f"{source}: image_size {vision.image_size} is not a multiple of patch_size {vision.patch_size}"
        )
