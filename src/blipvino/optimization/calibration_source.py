"""Which samples quantization sees, and where they come from if nobody says."""

from __future__ import annotations

from dataclasses import dataclass

from blipvino.checkpoint.tensors import Checkpoint, load_checkpoint
from blipvino.checks import shown
from blipvino.data import DEFAULT_SAMPLES, DEFAULT_SEED, DemoSource, NaturalSource, SampleSource, open_source
from blipvino.data.sources import AUTO_SOURCE
from blipvino.demo import NAMES as EMBEDDED
from blipvino.errors import InputError
from blipvino.progress import Reporter

__all__ = ["CalibrationOptions", "calibration_source"]


@dataclass(frozen=True)
class CalibrationOptions:
    """Which samples quantization sees.

    Attributes:
        source: as `blipvino.data.open_source` takes it, or a source itself, such as `blipvino.data.photo_source` makes;
            "auto" is the demo's world for the embedded checkpoints of the demo, which know no other, and generated
            pictures with the statistics of photographs ("natural") for all others.
        samples: (image, question) pairs, or images of a source without questions.
        seed: of the shuffle.
    """

    source: str | SampleSource = AUTO_SOURCE
    samples: int = DEFAULT_SAMPLES
    seed: int = DEFAULT_SEED


def calibration_source(options: CalibrationOptions, checkpoint: Checkpoint, reporter: Reporter) -> SampleSource:
    """Open the source of the samples; what "auto" stands for is said in a line.

    Raises:
        DataError: there is no such source.
        InputError: it is neither a name nor a source.
    """
    if not isinstance(options.source, str):
        if not hasattr(options.source, "samples"):
            wanted = "the name of a sample source, or one itself"
            raise InputError(f"calibration source is {shown(options.source)}, expected {wanted}; see docs/data.md")
        return options.source
    if options.source != AUTO_SOURCE:
        return open_source(options.source)
    if _is_embedded(checkpoint):
        source: SampleSource = DemoSource()
        why = "the world of shapes that this checkpoint was trained on"
    else:
        source = NaturalSource()
        why = "generated pictures with the statistics of photographs; photographs like those to come may fit better"
    reporter.say(f"Calibrating on {source.name}: {why}")
    return source


def _is_embedded(checkpoint: Checkpoint) -> bool:
    """Whether it is one of the demo's, by whatever name: its configuration and weights are theirs, byte for byte."""
    for folder in EMBEDDED.values():
        with load_checkpoint(folder, show_progress=False) as embedded:
            if embedded.sha256 == checkpoint.sha256:
                return True
    return False
