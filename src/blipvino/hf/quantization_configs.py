"""What ``quantization_config`` means: optimum-intel's configurations, as recipes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from blipvino.checks import shown
from blipvino.errors import InputError
from blipvino.graphs.recipes import AUTO, find_recipe
from blipvino.graphs.specs import GRAPHS
from blipvino.optimization.optimize import CalibrationOptions
from blipvino.optimization.search.options import Search
from blipvino.recipe import Recipe, Treatment, WeightMode

UNCOMPRESSED = "none"
_OF_WEIGHTS = {"group_size", "ratio", "scale_estimation", "gptq", "quant_method", "backup_precision", "all_layers"}
"""Options that only a configuration of weights has."""
_OF_ACTIVATIONS = {"smooth_quant_alpha", "fast_bias_correction", "overflow_fix", "model_type", "activation_format"}
"""Options that only one of weights and activations has."""
_WITHOUT_MEANING = {"tokenizer", "processor", "trust_remote_code", "weight_only", "weight_format", "dtype"}
"""What the bundle brings itself, or says what other options say."""
_ALWAYS = {"bits", "sym", "dataset", "num_samples", "ignored_scope"}
_BACKUPS = {"none": "none", "int8_sym": "int8_sym", "int8_asym": "int8_asym"}
_GROUP_SIZE = 64


@dataclass(frozen=True)
class Compression:
    """What is asked for.

    Attributes:
        recipe: as `blipvino.optimize` takes it.
        calibration: what quantization sees; None is `optimize`'s default.
    """

    recipe: str | Recipe | Search
    calibration: CalibrationOptions | None = None


def compression(config: object, *, load_in_8bit: bool = False) -> Compression:
    """What ``quantization_config`` and ``load_in_8bit`` ask for.

    Args:
        config: None compresses nothing (weights in half precision); the name of a recipe, a `Recipe` or a `Search`; a
            dictionary of optimum-intel's options (``{"bits": 8}`` is 8-bit weights, ``{"bits": 8, "weight_only":
            False}`` the recipe "int8", ``{"bits": 4}`` 4-bit weights), or one of its objects.
        load_in_8bit: the same as ``{"bits": 8}``, where there is no configuration.

    Raises:
        InputError: it is none of these, or asks for what there is not.
    """
    if config is None:
        return Compression(_weights({"bits": 8}) if load_in_8bit else UNCOMPRESSED)
    if isinstance(config, str):
        return Compression(config if config == AUTO else find_recipe(config))
    if isinstance(config, Recipe | Search):
        return Compression(config)
    options = _options(config)
    unknown = sorted(options.keys() - _ALWAYS - _OF_WEIGHTS - _OF_ACTIVATIONS - _WITHOUT_MEANING)
    if unknown:
        raise InputError(f"quantization_config: {unknown[0]} is not supported; give a Recipe, or leave it out")
    recipe = _weights(options) if _is_of_weights(config, options) else _activations(options)
    return Compression(recipe, _calibration(options))


def _options(config: object) -> dict[str, Any]:
    """The options that are given, None being none."""
    given = config.to_dict() if hasattr(config, "to_dict") else config
    if not isinstance(given, Mapping):
        raise InputError(
            f"quantization_config is {shown(config)}, expected the name of a recipe, a Recipe, a dictionary such as "
            '{"bits": 8} or an object of optimum-intel'
        )
    return {str(name): value for name, value in given.items() if value is not None}


def _is_of_weights(config: object, options: Mapping[str, Any]) -> bool:
    """Whether weights alone are compressed: by the object's class, by what is said, or by the options that are there.

    As in optimum-intel, weights alone are meant where nothing tells.
    """
    named = type(config).__name__
    if "Weight" in named:
        return True
    if named == "OVQuantizationConfig":
        return False
    if "weight_only" in options:
        return bool(options["weight_only"])
    return bool(_OF_WEIGHTS & options.keys()) or not _OF_ACTIVATIONS & options.keys()


def _weights(options: Mapping[str, Any]) -> Recipe:
    """Weights of every graph in 8 or 4 bits."""
    bits = options.get("bits", 8)
    mode: WeightMode = "sym" if options.get("sym") else "asym"
    ignored = _ignored(options)
    if bits == 8:
        treatment = Treatment("weights_int8", mode=mode, ignored=ignored)
    elif bits == 4:
        backup = options.get("backup_precision", "int8_asym")
        if backup not in _BACKUPS:
            raise InputError(
                f"quantization_config: backup_precision is {shown(backup)}, expected {', '.join(_BACKUPS)}"
            )
        treatment = Treatment(
            "weights_int4",
            group_size=options.get("group_size", _GROUP_SIZE),
            mode=mode,
            ratio=float(options.get("ratio", 1.0)),
            awq=str(options.get("quant_method", "")).lower().endswith("awq"),
            scale_estimation=bool(options.get("scale_estimation", False)),
            gptq=bool(options.get("gptq", False)),
            backup=_BACKUPS[backup],  # type: ignore[arg-type]  # the keys are the values that it may have
            ignored=ignored,
        )
    else:
        raise InputError(f"quantization_config: bits is {shown(bits)}, expected 8 or 4")
    return Recipe(f"weights-int{bits}", f"weights alone, in {bits} bits", dict.fromkeys(GRAPHS, treatment))


def _activations(options: Mapping[str, Any]) -> Recipe:
    """The recipe "int8" with its options changed: weights and activations of encoders, weights of the decoder."""
    bits = options.get("bits", 8)
    if bits != 8:
        raise InputError(f"quantization_config: bits is {shown(bits)}, expected 8: activations have no fewer")
    fix = options.get("overflow_fix", "disable")
    full = Treatment(
        "ptq_int8",
        smooth_quant_alpha=options.get("smooth_quant_alpha"),
        bias_correction="fast" if options.get("fast_bias_correction", True) else "full",
        preset="performance" if options.get("sym") else "mixed",
        overflow_fix=fix is True or str(fix).lower().endswith(("enable", "first_layer_only")),
        ignored=_ignored(options),
    )
    plain = find_recipe("int8")
    treatments = {
        name: full if treatment.method == "ptq_int8" else treatment for name, treatment in plain.treatments.items()
    }
    same = treatments == dict(plain.treatments)
    return plain if same else Recipe("int8-options", "as int8, with options of quantization_config", treatments)


def _ignored(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of nodes in ``ignored_scope``, which may have patterns and types in optimum-intel."""
    scope = options.get("ignored_scope") or {}
    given = scope if isinstance(scope, Mapping) else vars(scope)
    others = [name for name, value in given.items() if name not in ("names", "validate") and value]
    if others:
        raise InputError(f"quantization_config: ignored_scope has {others[0]}, expected names of nodes alone")
    return tuple(given.get("names") or ())


def _calibration(options: Mapping[str, Any]) -> CalibrationOptions | None:
    """Samples by ``dataset`` and ``num_samples``."""
    dataset, samples = options.get("dataset"), options.get("num_samples")
    if dataset is None and samples is None:
        return None
    if dataset is not None and not isinstance(dataset, str):
        raise InputError(
            f"quantization_config: dataset is {shown(dataset)}, expected a sample source of blipvino, such as "
            "folder:photos"
        )
    default = CalibrationOptions()
    return CalibrationOptions(dataset or default.source, default.samples if samples is None else int(samples))
