"""Recipes: what precision each graph gets, and how. All of them are declared here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from blipvino.errors import InputError

Method = Literal["fp16", "ptq_int8", "weights_int8", "weights_int4"]


@dataclass(frozen=True)
class Treatment:
    """What is done to one graph.

    Attributes:
        method: "fp16" (stored in half precision, nothing else), "ptq_int8" (weights and activations, calibrated;
            NNCF's transformer scheme with SmoothQuant and fast bias correction), "weights_int8" or "weights_int4"
            (weights only, no data needed).
        group_size: weights that share a scale, of "weights_int4" alone.
    """

    method: Method
    group_size: int | None = None

    def __post_init__(self) -> None:
        """4-bit weights come in groups, nothing else does."""
        assert (self.group_size is not None) == (self.method == "weights_int4")

    def __str__(self) -> str:
        """As `describe` prints it."""
        return f"{self.method} (group {self.group_size})" if self.method == "weights_int4" else self.method


FP16 = Treatment("fp16")
PTQ_INT8 = Treatment("ptq_int8")
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
    treatments: Mapping[str, Treatment] = field(default_factory=dict)

    @property
    def needs_calibration(self) -> bool:
        """Whether any graph is calibrated on samples."""
        return any(treatment.method == "ptq_int8" for treatment in self.treatments.values())

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
        return f"{self.name}: {self.summary} [{parts}]"

    def to_json(self) -> dict[str, Any]:
        """For the manifest."""
        treatments = {graph: asdict(treatment) for graph, treatment in self.treatments.items()}
        return {"name": self.name, "treatments": treatments}


def _recipe(name: str, summary: str, encoders: Treatment, answer_kv: Treatment, answer: Treatment) -> Recipe:
    treatments = {
        "vision": encoders,
        "question_kv": encoders,
        "question": encoders,
        "answer_kv": answer_kv,
        "answer": answer,
    }
    return Recipe(name, summary, treatments)


RECIPES: Mapping[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        _recipe("int8", "the tutorial's: 8-bit encoders, 8-bit decoder weights", PTQ_INT8, WEIGHTS_INT8, WEIGHTS_INT8),
        _recipe("int8-int4", "8-bit encoders, 4-bit decoder weights", PTQ_INT8, WEIGHTS_INT8, WEIGHTS_INT4),
        _recipe("none", "the original in FP16, nothing quantized", FP16, FP16, FP16),
    )
}
DEFAULT_RECIPE = "int8"


def find_recipe(name: str) -> Recipe:
    """The recipe of this name.

    Raises:
        InputError: there is none.
    """
    if name not in RECIPES:
        raise InputError(f"no recipe {name!r}; expected one of {', '.join(RECIPES)}")
    return RECIPES[name]
