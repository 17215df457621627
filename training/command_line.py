"""What the commands here have in common: how they are refused or stopped, and their arguments."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path

from blipvino.checkpoint.tensors import load_checkpoint
from blipvino.demo import resolve
from blipvino.errors import BlipvinoError, CheckpointError

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""


def run_command(main: Callable[[], None]) -> None:
    """Run a command. What is refused is one line on standard error and status 2; Ctrl-C one line and status 130."""
    try:
        main()
    except BlipvinoError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None
    except OSError as error:
        print(error if error.filename is None else f"{error.filename}: {error.strerror}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt as error:
        print(error if error.args else "interrupted", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """A parser that prints a module's docstring as it is written."""
    return argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)


def positive(text: str) -> int:
    """An argument that counts something there must be one of.

    Raises:
        ArgumentTypeError: it is less, or no number.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of 1 or more")
    return int(text)


def checkpoint_folder(name: str, *architectures: str) -> Path:
    """The folder of a checkpoint of one class, or of one of several.

    Args:
        name: a folder, ``demo`` or ``demo-retrieval``.
        architectures: its class must be one of these.

    Raises:
        CheckpointError: there is none, or it is of another class.
    """
    with load_checkpoint(Path(resolve(name))) as checkpoint:
        if checkpoint.config.architecture not in architectures:
            expected = " or a ".join(architectures)
            raise CheckpointError(f"{name}: a {checkpoint.config.architecture}, expected a {expected}")
        return checkpoint.folder


def attribute_texts(kind: type) -> dict[str, str]:
    """What the docstrings of a class and those that it is made from say of each attribute."""
    found: dict[str, str] = {}
    for each in kind.__mro__:
        _, _, attributes = (each.__doc__ or "").partition("Attributes:\n")
        for name, text in re.findall(r"^ {8}(\w+): (.*(?:\n {12}.*)*)", attributes, re.MULTILINE):
            found.setdefault(name, " ".join(text.split()))
    return found
