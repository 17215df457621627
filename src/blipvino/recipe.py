"""Recipes: what precision each graph gets, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Self, get_args

from blipvino.errors import InputError

Method = Literal["fp16", "ptq_int8", "weights_int8", "weights_int4"]
BiasCorrection = Literal["fast", "full", "none"]
Preset = Literal["mixed", "performance"]
ActivationRange = Literal["mean_minmax", "minmax", "median_minmax", "quantile", "histogram"]
WeightMode = Literal["sym", "asym"]
Backup = Literal["int8_asym", "int8_sym", "none"]

METHODS: Mapping[Method, str] = {
    "fp16": "weights are stored as 16-bit floats, and nothing else is done",
    "ptq_int8": "post-training quantization: weights and activations in 8 bits, by ranges that samples showed",
    "weights_int8": "weights in 8 bits; activations, what is computed of them, stay float",
    "weights_int4": "weights in 4 bits, with a scale for each group of them; activations stay float",
}
"""What each does, for people."""
OPTIONS: Mapping[str, str] = {
    "group": "how many weights share a scale",
    "a scale a row": "all weights of a row share a scale",
    "SmoothQuant": "moves what sticks out of activations into the weights, before both are rounded",
    "bias_correction": "takes the mean error of what a layer puts out from its bias",
    "preset": "whether the range of activations has zero in its middle (performance) or lies where it may (mixed)",
    "activation_range": "how an activation's range is made of those of the samples",
    "per_channel": "each output channel of a weight has a scale of its own",
    "overflow_fix": "weights keep to half of their range, for CPUs that add two products in 16 bits",
    "in float": "that many layers are left as they were",
    "mode": "whether the range of weights has zero in its middle (sym) or lies where it may (asym)",
    "ratio": "the share of the weights that get 4 bits",
    "awq": "weights that meet large activations are scaled up before they are rounded",
    "scale_estimation": "scales are chosen so that what a layer puts out errs least on samples",
    "gptq": "each weight is rounded so that it makes up for the errors of those before it, on samples",
    "backup": "what embeddings, the output projection and weights beyond the ratio get instead of 4 bits",
}
"""Words by which `Treatment` prints its options, and what each is, for people."""

_CHOICES: Mapping[str, tuple[object, ...]] = {
    "method": get_args(Method),
    "bias_correction": get_args(BiasCorrection),
    "preset": get_args(Preset),
    "activation_range": get_args(ActivationRange),
    "mode": (None, *get_args(WeightMode)),
    "backup": get_args(Backup),
    "per_channel": (True, False),
    "overflow_fix": (True, False),
    "awq": (True, False),
    "scale_estimation": (True, False),
    "gptq": (True, False),
}
_OPTIONS: Mapping[Method, tuple[str, ...]] = {
    "fp16": (),
    "ptq_int8": (
        *("smooth_quant_alpha", "bias_correction", "preset", "activation_range"),
        *("per_channel", "overflow_fix", "ignored"),
    ),
    "weights_int8": ("mode", "ignored"),
    "weights_int4": ("group_size", "mode", "ratio", "awq", "scale_estimation", "gptq", "backup", "ignored"),
}


@dataclass(frozen=True)
class Treatment:
    """What is done to one graph. The options are NNCF's, by its names where it has one; the defaults are its own.

    Attributes:
        method: "fp16" (stored in half precision, nothing else), "ptq_int8" (weights and activations, calibrated, by
            NNCF's transformer scheme), "weights_int8" or "weights_int4" (weights only; activations stay float).
        group_size: weights that share a scale; -1 is a row. Of "weights_int4", which needs it.
        smooth_quant_alpha: how much of the activations' outliers SmoothQuant moves into the weights, 0 to 1; None is
            NNCF's 0.95, -1 does without SmoothQuant. This and the next five are of "ptq_int8".
        bias_correction: "fast" (one pass), "full" (layer by layer, slow) or "none".
        preset: activations are quantized asymmetrically ("mixed") or symmetrically ("performance").
        activation_range: of the samples' ranges, the mean ("mean_minmax"), the widest ("minmax") or the median
            ("median_minmax"); the mean of their 1e-4 quantiles ("quantile"); or the range with the least error on a
            histogram of the values ("histogram"). The last two take several times as long.
        per_channel: whether each output channel of a weight has a scale of its own.
        overflow_fix: whether weights of matrix products keep to half the 8-bit range, so that the sum of two products
            fits 16 bits: without VNNI, kernels of 8-bit activations clamp what does not.
        ignored: friendly names of nodes that stay float. Of every method but "fp16".
        mode: "sym" or "asym" weights of the weight-only methods; None is asym for 8 bits, sym for 4.
        ratio: share of the weights that get 4 bits; the rest, by NNCF's measure of sensitivity, gets ``backup``. This
            and what follows is of "weights_int4".
        awq: activation-aware scaling of weights (AWQ, arXiv:2306.00978), with data.
        scale_estimation: scales that minimize the error of each layer's output, with data.
        gptq: weights rounded one column after the other, each making up for the errors before it (GPTQ,
            arXiv:2210.17323), with data.
        backup: of embeddings, the output projection, and what ``ratio`` leaves: 8 bits, or "none" for float.

    Raises:
        InputError: an option is not one of its choices, out of its range, or not one of the method's.
    """

    method: Method
    group_size: int | None = None
    smooth_quant_alpha: float | None = None
    bias_correction: BiasCorrection = "fast"
    preset: Preset = "mixed"
    activation_range: ActivationRange = "mean_minmax"
    per_channel: bool = True
    overflow_fix: bool = False
    ignored: tuple[str, ...] = ()
    mode: WeightMode | None = None
    ratio: float = 1.0
    awq: bool = False
    scale_estimation: bool = False
    gptq: bool = False
    backup: Backup = "int8_asym"

    def __post_init__(self) -> None:
        """Check values, and that they are the method's."""
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                expected = ", ".join(map(str, choices))
                raise InputError(f"{name} is {getattr(self, name)!r}, expected one of {expected}")
        for name in self._changed():
            if name not in _OPTIONS[self.method]:
                raise InputError(f"{name} is no option of {self.method}, which has {_listed(_OPTIONS[self.method])}")
        alpha, size = self.smooth_quant_alpha, self.group_size
        ranges = (
            ("smooth_quant_alpha", alpha is None or alpha == -1 or 0 <= alpha <= 1, "0 to 1, or -1 for none"),
            ("ratio", 0 < self.ratio <= 1, "above 0 and at most 1"),
            ("group_size", size is None or size == -1 or size > 0, "above 0, or -1 for a whole row"),
            ("group_size", size is not None or self.method != "weights_int4", "a number of weights, such as 64"),
            ("ignored", all(isinstance(name, str) and name for name in self.ignored), "names of nodes"),
        )
        for name, holds, expected in ranges:
            if not holds:
                raise InputError(f"{name} is {getattr(self, name)!r}, expected {expected}")

    def __str__(self) -> str:
        """As `Recipe.describe` prints it: the method, and the options that are not the default."""
        changed = ", ".join(map(self._described, self._changed()))
        return f"{self.method} ({changed})" if changed else self.method

    @property
    def needs_data(self) -> bool:
        """Whether it is calibrated on samples."""
        return self.method == "ptq_int8" or self.awq or self.scale_estimation or self.gptq

    def to_json(self) -> dict[str, Any]:
        """For the manifest: the method, the group size, and every option of the method, changed or not."""
        names = ("method", "group_size", *(name for name in _OPTIONS[self.method] if name != "group_size"))
        values = {name: getattr(self, name) for name in names}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """What `to_json` gave. Options that are missing have their defaults; unknown ones, a later version's, are left.

        Raises:
            InputError: as the constructor.
        """
        if not isinstance(content, Mapping) or not isinstance(content.get("ignored", ()), list | tuple):
            raise InputError(f"{content!r} is no treatment: expected an object, with a list of names as ignored")
        known = {option.name for option in fields(cls)}
        given: dict[str, Any] = {name: value for name, value in content.items() if name in known}
        return cls(**{"method": None, **given, "ignored": tuple(content.get("ignored", ()))})

    def _changed(self) -> list[str]:
        """The options that are not the default."""
        return [option.name for option in fields(self)[1:] if getattr(self, option.name) != option.default]

    def _described(self, name: str) -> str:
        """An option as people read it."""
        value = getattr(self, name)
        if name == "group_size":
            return "a scale a row" if value == -1 else f"group {value}"
        if name == "smooth_quant_alpha":
            return "no SmoothQuant" if value == -1 else f"SmoothQuant {value:g}"
        if name == "ignored":
            return f"{len(value)} in float"
        if isinstance(value, bool):
            return name if value else f"not {name}"
        return f"{name} {value}"


FP16 = Treatment("fp16")
PTQ_INT8 = Treatment("ptq_int8")
PTQ_MINMAX = Treatment("ptq_int8", smooth_quant_alpha=-1, bias_correction="none", activation_range="minmax")
WEIGHTS_INT8 = Treatment("weights_int8")
WEIGHTS_INT4 = Treatment("weights_int4", group_size=64)


@dataclass(frozen=True)
class Recipe:
    """A treatment for every graph.

    Attributes:
        name: what ``--recipe`` takes.
        summary: one line for people.
        treatments: by graph name.
    """

    name: str
    summary: str
    treatments: Mapping[str, Treatment]

    @property
    def needs_calibration(self) -> bool:
        """Whether any graph is calibrated on samples."""
        return any(treatment.needs_data for treatment in self.treatments.values())

    def with_group_size(self, group_size: int) -> Recipe:
        """The same recipe with another group size for 4-bit weights.

        Raises:
            InputError: the size is not positive, or the recipe has no 4-bit weights.
        """
        if group_size < 1:
            raise InputError(f"group size is {group_size}, expected a positive divisor of the layers' widths")
        if all(treatment.method != "weights_int4" for treatment in self.treatments.values()):
            raise InputError(
                f"recipe {self.name!r} has no 4-bit weights to group; use int8-int4, or leave the size out"
            )
        changed = {
            graph: replace(treatment, group_size=group_size) if treatment.method == "weights_int4" else treatment
            for graph, treatment in self.treatments.items()
        }
        return replace(self, treatments=changed)

    def describe(self) -> str:
        """One line: the name, the summary, and the treatment of each graph."""
        parts = ", ".join(f"{graph}: {treatment}" for graph, treatment in self.treatments.items())
        return f"{self.name}: {self.summary}" + (f" [{parts}]" if parts else "")

    def to_json(self) -> dict[str, Any]:
        """For the manifest: the name and the treatments; the summary is for people."""
        treatments = {graph: treatment.to_json() for graph, treatment in self.treatments.items()}
        return {"name": self.name, "treatments": treatments}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """What `to_json` gave, without a summary.

        Raises:
            KeyError: there is no name, or there are no treatments.
            TypeError: the name is none.
            InputError: a treatment is none that this version knows.
        """
        treatments = {graph: Treatment.from_json(treatment) for graph, treatment in content["treatments"].items()}
        if not isinstance(content["name"], str):
            raise TypeError(f"name is {content['name']!r}, expected str")
        return cls(content["name"], "", treatments)


def _listed(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(names) or "none"
