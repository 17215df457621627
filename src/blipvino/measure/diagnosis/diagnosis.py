"""What a diagnosis says: every graph's and every layer's error, and which layers are the worst."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from blipvino.compress.noise.layer_noise import LayerNoise
from blipvino.metrics.sqnr import Fidelity


@dataclass(frozen=True)
class LayerError(LayerNoise):
    """The same in a bundle.

    Attributes:
        accumulated: the error of its output when the bundle runs: its own and what comes to it.
    """

    accumulated: Fidelity


@dataclass(frozen=True)
class GraphError:
    """One graph's error.

    Attributes:
        graph: its name.
        method: what its recipe did to it.
        alone: the error of its outputs when the graphs before it are float.
        chained: the same when they are compressed too, end to end.
        layers: what compression touches, in the order of the layers.
        as_run: the error end to end by the kernels that run on the host; None where that was not measured.
    """

    graph: str
    method: str
    alone: Fidelity
    chained: Fidelity
    layers: tuple[LayerError, ...]
    as_run: Fidelity | None = None

    @property
    def gain_here(self) -> float:
        """By how many dB the graph runs better on the host than its numbers say; negative where it runs worse."""
        return 0.0 if self.as_run is None else self.as_run.sqnr - self.chained.sqnr


@dataclass(frozen=True)
class Diagnosis:
    """Where a bundle's error comes from.

    Attributes:
        bundle: its folder.
        fingerprint: of its files.
        original: the checkpoint that it was made of.
        recipe: the name of its recipe.
        data: which samples were run.
        graphs: in the order in which they run.
        libraries: the versions that computed it.
        arithmetic: of quantized graphs on the host.
        reason: why it is that one, for people.
    """

    bundle: str
    fingerprint: str
    original: str
    recipe: str
    data: str
    graphs: tuple[GraphError, ...]
    libraries: Mapping[str, str]
    arithmetic: str = ""
    reason: str = ""

    def worst(self, count: int | None = None) -> list[LayerError]:
        """The layers that introduce the most noise for their signal, worst first; all of them without a count."""
        layers = [layer for graph in self.graphs for layer in graph.layers]
        return sorted(layers, key=lambda layer: -layer.noise_to_signal)[:count]

    def to_json(self) -> dict[str, Any]:
        """For ``diagnosis.json``."""
        return {
            "bundle": self.bundle,
            "fingerprint": self.fingerprint,
            "original": self.original,
            "recipe": self.recipe,
            "data": self.data,
            "libraries": dict(self.libraries),
            "arithmetic": self.arithmetic,
            "reason": self.reason,
            "graphs": [_graph_to_json(graph) for graph in self.graphs],
            "worst": [layer.label for layer in self.worst(10)],
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`."""
        names = ("bundle", "fingerprint", "original", "recipe", "data", "libraries")
        graphs = tuple(_graph_from_json(graph) for graph in content["graphs"])
        host = {name: content.get(name, "") for name in ("arithmetic", "reason")}
        return cls(graphs=graphs, **{name: content[name] for name in names}, **host)


def _graph_to_json(graph: GraphError) -> dict[str, Any]:
    layers = [
        {
            "node": layer.node,
            "layer": layer.layer,
            "part": layer.part,
            "introduced": layer.introduced.to_json(),
            "accumulated": layer.accumulated.to_json(),
        }
        for layer in graph.layers
    ]
    errors = {"alone": graph.alone.to_json(), "chained": graph.chained.to_json()}
    if graph.as_run is not None:
        errors["as_run"] = graph.as_run.to_json()
    return {"graph": graph.graph, "method": graph.method, **errors, "layers": layers}


def _graph_from_json(content: Mapping[str, Any]) -> GraphError:
    graph = content["graph"]
    layers = tuple(
        LayerError(graph, row["node"], *(Fidelity.from_json(row[name]) for name in ("introduced", "accumulated")))
        for row in content["layers"]
    )
    alone, chained = (Fidelity.from_json(content[name]) for name in ("alone", "chained"))
    as_run = Fidelity.from_json(content["as_run"]) if "as_run" in content else None
    return GraphError(graph, content["method"], alone, chained, layers, as_run)
