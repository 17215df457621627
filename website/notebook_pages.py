"""The notebooks as pages of the site: text, code, and what it showed when it was saved."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import jupytext
from nbformat import NotebookNode

DOWNLOAD = (
    "The notebook itself is `notebooks/{name}.ipynb` in the repository, and as a Python file `notebooks/{name}.py`; "
    "`make notebooks` runs it anew.\n"
)


@dataclass
class NotebookPage:
    """A page in Markdown, and its pictures.

    Attributes:
        text: of the page.
        pictures: PNG files by their names, to stand in the page's folder.
    """

    text: str = ""
    pictures: dict[str, bytes] = field(default_factory=dict)


def notebook_page(path: Path) -> NotebookPage:
    """The page of a saved notebook."""
    page, parts = NotebookPage(), []
    for number, cell in enumerate(jupytext.read(path).cells):
        if cell.cell_type == "markdown":
            parts.append(cell.source.replace("](../docs/", "]("))
        else:
            parts.append(f"```python\n{cell.source}\n```")
            parts += _outputs(cell, f"{path.stem}-{number:02}", _shown(parts), page)
    title, *others = parts[0].split("\n", 1)
    page.text = "\n\n".join([title, DOWNLOAD.format(name=path.stem), *others, *parts[1:]]) + "\n"
    return page


def _shown(parts: list[str]) -> str:
    """The heading that a picture stands under, which says what it shows to who does not see it."""
    lines = (line for part in reversed(parts) for line in reversed(part.splitlines()))
    return next((line.lstrip("# ") for line in lines if line.startswith("#") and not line.startswith("# %")), "Output")


def _outputs(cell: NotebookNode, name: str, shown: str, page: NotebookPage) -> Iterator[str]:
    for number, output in enumerate(cell.outputs):
        data = output.get("data", {})
        if "image/png" in data:
            file = f"{name}-{number}.png"
            page.pictures[file] = base64.b64decode(data["image/png"])
            yield f"[![{shown}]({file})]({file})"  # on a phone, opened by itself it can be read
        elif text := output.get("text", data.get("text/plain", "")):
            yield f"```text\n{text.rstrip()}\n```"
