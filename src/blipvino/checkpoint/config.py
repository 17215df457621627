"""What a BLIP checkpoint's ``config.json`` and ``preprocessor_config.json`` say, as frozen dataclasses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any, TypeVar

from blipvino.checkpoint.architectures import ARCHITECTURES, CAPTIONING
from blipvino.errors import CheckpointError


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
    """A checkpoint's class (one of `ARCHITECTURES`) and the shape of its two towers.

    Attributes:
        ties_output: whether the decoder's output layer shares what its file does not store of it, as in every
            published BLIP: the word embeddings, and one of its two biases with the other.
        image_text_hidden_size: width of the embeddings that images and texts are compared by.
    """

    architecture: str
    vision: VisionConfig
    text: TextConfig
    ties_output: bool = True
    image_text_hidden_size: int = 256

    @property
    def answers_questions(self) -> bool:
        """Whether the checkpoint has a question encoder that feeds its decoder."""
        return ARCHITECTURES[self.architecture].answers_questions

    @property
    def retrieves(self) -> bool:
        """Whether the checkpoint embeds images and texts and matches them, and generates no text."""
        return ARCHITECTURES[self.architecture].retrieves


@dataclass(frozen=True)
class PreprocessorConfig:
    """How pixels are prepared. Defaults are those of `transformers`' ``BlipImageProcessor``.

    Attributes:
        size: side of the square that the vision model reads, in pixels.
        resample: Pillow's number of the resampling filter (3: bicubic).
        image_mean: per channel, for pixels in 0..1.
        image_std: per channel, for pixels in 0..1.
    """

    size: int
    resample: int = 3
    image_mean: tuple[float, float, float] = (0.48145466, 0.4578275, 0.40821073)
    image_std: tuple[float, float, float] = (0.26862954, 0.26130258, 0.27577711)


RESCALE_FACTOR = 1 / 255
"""From uint8 pixels to 0..1; no published BLIP has another."""


def parse_preprocessor(content: Mapping[str, Any], image_size: int, source: str) -> PreprocessorConfig:
    """Read a parsed ``preprocessor_config.json``.

    Args:
        content: the file's content.
        image_size: side of the square that the vision model reads, in pixels.
        source: where it came from, for messages.

    Raises:
        CheckpointError: a size other than the vision model's, or a setting that the graphs do not have.
    """
    where = f"{source}: preprocessor_config.json"
    for name in ("do_resize", "do_rescale", "do_normalize"):
        if content.get(name, True) is not True:
            raise CheckpointError(f"{where}: {name} is {content[name]!r}, expected true, as in every BLIP")
    factor = content.get("rescale_factor", RESCALE_FACTOR)
    if not isinstance(factor, float) or abs(factor - RESCALE_FACTOR) > 1e-6:
        raise CheckpointError(f"{where}: rescale_factor is {factor!r}, expected 1/255")
    size = content.get("size") or image_size
    sides = (size.get("height"), size.get("width")) if isinstance(size, Mapping) else (size, size)
    if sides != (image_size, image_size):
        raise CheckpointError(f"{where}: size is {size!r}, but the vision model reads {image_size} pixels")
    resample = content.get("resample", PreprocessorConfig.resample)
    if resample not in range(6):
        raise CheckpointError(f"{where}: resample is {resample!r}, expected one of Pillow's filters, 0 to 5")
    mean, std = (
        _three_numbers(content.get(name) or getattr(PreprocessorConfig, name), f"{where}: {name}")
        for name in ("image_mean", "image_std")
    )
    if min(std) <= 0:
        raise CheckpointError(f"{where}: image_std is {list(std)}, expected positive numbers")
    return PreprocessorConfig(image_size, resample, mean, std)


def _three_numbers(values: Any, where: str) -> tuple[float, float, float]:
    if not isinstance(values, list | tuple) or len(values) != 3 or not all(isinstance(v, int | float) for v in values):
        raise CheckpointError(f"{where} is {values!r}, expected three numbers")
    red, green, blue = values
    return float(red), float(green), float(blue)


def parse_config(content: Mapping[str, Any], source: str) -> BlipConfig:
    """Read a parsed ``config.json``.

    Args:
        content: the file's content.
        source: where it came from, for messages.

    Raises:
        CheckpointError: not a BLIP checkpoint, a shape that no BLIP can have, or towers of two widths in a checkpoint
            that answers questions.
    """
    if content.get("model_type") != "blip":
        found = content.get("model_type", "no model_type")
        raise CheckpointError(f"{source}: expected a BLIP checkpoint (model_type 'blip'), found {found!r}")
    listed = content.get("architectures")
    architecture = listed[0] if isinstance(listed, list) and listed else None
    if architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise CheckpointError(f"{source}: architecture {architecture!r} is not supported; expected one of {known}")
    vision = _section(VisionConfig, content, "vision_config", source)
    # As in transformers' BlipConfig, whatever the file says: the text model attends to the vision model's width.
    text = replace(_section(TextConfig, content, "text_config", source), encoder_hidden_size=vision.hidden_size)
    _check_shapes(vision, text, source)
    if ARCHITECTURES[architecture].answers_questions and text.hidden_size != vision.hidden_size:
        raise CheckpointError(
            f"{source}: text_config.hidden_size {text.hidden_size} is not vision_config.hidden_size "
            f"{vision.hidden_size}, so the decoder, which reads the latter, cannot read questions, and transformers "
            f"fails on them too; for captions alone, save the checkpoint as {CAPTIONING}"
        )
    return BlipConfig(architecture, vision, text, _ties_output(content, source), _embedding_width(content, source))


def _embedding_width(content: Mapping[str, Any], source: str) -> int:
    width = content.get("image_text_hidden_size")
    if width is None:
        return BlipConfig.image_text_hidden_size
    if not isinstance(width, int) or isinstance(width, bool) or width < 1:
        raise CheckpointError(f"{source}: image_text_hidden_size is {width!r}, expected a positive number")
    return width


def _ties_output(content: Mapping[str, Any], source: str) -> bool:
    """Whether the model ties or its decoder does: `transformers` asks each of them for its own configuration."""
    found = []
    for where, section in (("", content), ("text_config.", content.get("text_config") or {})):
        value = section.get("tie_word_embeddings", True)
        if not isinstance(value, bool):
            raise CheckpointError(f"{source}: {where}tie_word_embeddings is {value!r}, expected true or false")
        found.append(value)
    return any(found)


_Section = TypeVar("_Section", VisionConfig, TextConfig)


def _section(kind: type[_Section], content: Mapping[str, Any], name: str, source: str) -> _Section:
    given = content.get(name)
    if not isinstance(given, Mapping | None):
        raise CheckpointError(f"{source}: {name} is a {type(given).__name__}, expected an object")
    given = given or {}
    values: dict[str, Any] = {}
    for field in fields(kind):
        assert field.default is not MISSING
        value = given.get(field.name)
        if value is None:
            value = field.default
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
    for name in ("bos_token_id", "pad_token_id", "sep_token_id"):
        if getattr(text, name) >= text.vocab_size:
            raise CheckpointError(f"{source}: text_config.{name} is not below vocab_size {text.vocab_size}")
    if vision.image_size % vision.patch_size:
        raise CheckpointError(
            f"{source}: image_size {vision.image_size} is not a multiple of patch_size {vision.patch_size}"
        )
