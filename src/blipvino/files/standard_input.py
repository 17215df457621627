"""Standard input, line by line, for a thread that is left behind where the program ends before its input."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

from blipvino.errors import InputError

_CHUNK_BYTES = 65536


def standard_input_lines() -> Iterator[bytes]:
    """The lines, without their line breaks, each as soon as it is there.

    They are read from the file descriptor: Python's own buffer is locked by whoever waits for a line, and a process
    that ends meanwhile, refused or interrupted, finds it locked and aborts.

    Raises:
        InputError: standard input is closed.
    """
    if sys.stdin is None:
        raise InputError("standard input is closed; expected paths, one a line")
    try:
        descriptor = sys.stdin.fileno()
    except OSError:  # something in memory stands for it
        yield from (line.removesuffix(b"\n") for line in sys.stdin.buffer)
        return
    begun = bytearray()
    while chunk := os.read(descriptor, _CHUNK_BYTES):
        *ended, rest = chunk.split(b"\n")
        for line in ended:
            yield bytes(begun) + line
            begun.clear()
        begun += rest
    if begun:
        yield bytes(begun)
