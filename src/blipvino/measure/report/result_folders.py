"""Results written to folders: JSON and pictures."""

from __future__ import annotations

import json
from pathlib import Path

from blipvino.files.atomic import make_folder, write_png, write_text
from blipvino.measure.comparison import Comparison
from blipvino.measure.diagnosis.diagnosis import Diagnosis
from blipvino.measure.report.charts.layer_chart import layer_chart
from blipvino.measure.report.pictures import visualize_comparison


def write_comparison(comparison: Comparison, folder: Path) -> None:
    """Write ``comparison.json`` and ``picture-N.png``, each whole or not at all.

    Raises:
        OutputError: the folder or a file in it cannot be written.
    """
    make_folder(folder)
    write_text(folder / "comparison.json", json.dumps(comparison.to_json(), indent=2) + "\n")
    for number, picture in enumerate(comparison.pictures, start=1):
        write_png(folder / f"picture-{number}.png", visualize_comparison(picture, comparison.cost.names))


def write_diagnosis(diagnosis: Diagnosis, folder: Path) -> None:
    """Write ``diagnosis.json`` and ``diagnosis.svg``, each whole or not at all.

    Raises:
        OutputError: the folder or a file in it cannot be written.
    """
    make_folder(folder)
    write_text(folder / "diagnosis.json", json.dumps(diagnosis.to_json(), indent=2) + "\n")
    write_text(folder / "diagnosis.svg", layer_chart(diagnosis) + "\n")
