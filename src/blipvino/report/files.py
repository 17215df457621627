"""A comparison written to a folder: JSON, HTML report, pictures."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

from blipvino.bench.compare import Comparison
from blipvino.errors import DataError
from blipvino.report.html import html_report
from blipvino.report.pictures import visualize_comparison


def write_comparison(comparison: Comparison, folder: Path) -> None:
    """Write ``comparison.json``, ``report.html`` and ``picture-N.png``, each whole or not at all.

    Raises:
        DataError: the folder or a file in it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write_text(folder / "comparison.json", json.dumps(comparison.to_json(), indent=2) + "\n")
        _write_text(folder / "report.html", html_report(comparison))
        for number, picture in enumerate(comparison.pictures, start=1):
            _write_image(folder / f"picture-{number}.png", visualize_comparison(picture, comparison.recipe))
    except OSError as error:
        raise DataError(f"{folder}: cannot be written ({error.strerror}); choose another folder") from error


def _write_text(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def _write_image(path: Path, image: Image.Image) -> None:
    partial = path.with_name(f".{path.name}.partial")
    image.save(partial, "PNG")
    partial.replace(path)
