"""The notebooks: each is a Python file that is read and changed, and beside it the same with what it shows when run.

``python -m website.notebook_runs`` (`make notebooks`) runs them and saves what they show.
"""

from __future__ import annotations

import base64
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import jupytext
from nbclient import NotebookClient
from nbformat import NotebookNode
from PIL import Image

from blipvino.files.atomic import write_text

FOLDER = Path(__file__).parents[1] / "notebooks"
NAMES = ("optimize-blip", "search-photos", "serve-and-batch")
COLORS = 256
"""Of a saved picture."""
SECONDS = 900
"""That a cell may take."""


def source_of(name: str) -> Path:
    """The Python file of a notebook, in jupytext's percent format."""
    return FOLDER / f"{name}.py"


def saved(name: str) -> Path:
    """The notebook with its outputs."""
    return FOLDER / f"{name}.ipynb"


def read(name: str) -> NotebookNode:
    """A notebook without outputs, made of its Python file; cells are numbered, so that the same file gives the same."""
    notebook = jupytext.read(source_of(name))
    for number, cell in enumerate(notebook.cells):
        cell.id = f"{number:02}"
    return notebook


def run(name: str, folder: Path, checkpoint: str | None = None) -> NotebookNode:
    """Run a notebook from its top to its bottom.

    Args:
        name: of it.
        folder: where it runs, and writes what it makes.
        checkpoint: in place of the one that it names.

    Raises:
        CellExecutionError: a cell failed.
    """
    notebook = read(name)
    if checkpoint is not None:
        next(cell for cell in notebook.cells if cell.cell_type == "code").source = f"CHECKPOINT = {checkpoint!r}"
    place = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=SECONDS, record_timing=False, coalesce_streams=True, resources=place).execute()
    # Of the language its name is enough: the version is that of whoever ran it last.
    notebook.metadata["language_info"] = {"name": "python"}
    return notebook


def in_few_colors(png: bytes) -> bytes:
    """The picture with a palette, so that clones stay small: none of its colours is far from what it was.

    The palette covers all colours that there are; one of those that are frequent would show small red things as pink.
    """
    picture, smaller = Image.open(io.BytesIO(png)).convert("RGB"), io.BytesIO()
    few = picture.quantize(COLORS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(smaller, "PNG", optimize=True)
    return smaller.getvalue()


def _shrink(notebook: NotebookNode) -> None:
    for data in (output.data for cell in notebook.cells for output in cell.get("outputs", ()) if "data" in output):
        if "image/png" in data:
            data["image/png"] = base64.b64encode(in_few_colors(base64.b64decode(data["image/png"]))).decode()


def save(name: str) -> None:
    """Run a notebook in a folder for the time, and save it with its outputs."""
    with TemporaryDirectory(prefix="blipvino-notebook-") as folder:
        notebook = run(name, Path(folder))
    _shrink(notebook)
    write_text(saved(name), jupytext.writes(notebook, "ipynb") + "\n")


def main(arguments: Sequence[str]) -> None:
    """Save the notebooks of these names; all without any."""
    for name in arguments or NAMES:
        print(f"{name} …", flush=True)
        save(name)
        print(f"{name}: {saved(name).stat().st_size / 1000:,.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
