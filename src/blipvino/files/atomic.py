"""Files of results, written whole or not at all; what a killed process left of one goes when it is next written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image

from blipvino.errors import OutputError
from blipvino.files.staging import Stage


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    write_bytes(path, text.encode("utf-8"))


def write_png(path: Path, image: Image.Image) -> None:
    """Write a PNG file whole or not at all.

    Raises:
        OutputError: it cannot be written, or is not named ``.png``.
    """
    check_png(path)
    buffer = BytesIO()
    image.save(buffer, "PNG")
    write_bytes(path, buffer.getvalue())


def check_png(path: Path) -> None:
    """Refuse a picture's path before the work that it would show.

    Raises:
        OutputError: it is not named ``.png``, or its folder does not exist.
    """
    if path.suffix.lower() != ".png":
        raise OutputError(f"{path}: a picture is written as PNG; give a name that ends in .png")
    _check_parent(path)


def check_html(path: Path) -> None:
    """Refuse a page's path before the work that it would show: a photo that was meant is not replaced.

    Raises:
        OutputError: it is not named ``.html``, or its folder does not exist.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise OutputError(f"{path}: a page is an HTML file; give a name that ends in .html")
    _check_parent(path)


def _check_parent(path: Path) -> None:
    if not path.parent.is_dir():
        raise OutputError(f"{path}: {path.parent} is not a folder; create it first")


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, where they are not there yet.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror}); choose another folder") from error


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Make a folder that appears complete, when the block ends well, or not at all.

    Args:
        target: to be made, with its parents; an empty one is accepted.

    Yields:
        An empty folder beside the target, to put the files in.

    Raises:
        OutputError: the target is taken, or cannot be written.
    """
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise OutputError(f"{target}: already exists and is not an empty folder; choose another name or remove it")
    stage = Stage.beside(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with stage.claimed():
            stage.partial.mkdir()
            yield stage.partial
            if target.exists():
                target.rmdir()  # empty, as checked above; not every system renames onto an empty folder
            stage.partial.rename(target)
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"{target}: cannot be written ({reason}); check the path and the disk") from error


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write a file whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    stage = Stage.beside(path)
    try:
        with stage.claimed():
            stage.partial.write_bytes(content)
            stage.partial.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}); choose another place") from error
