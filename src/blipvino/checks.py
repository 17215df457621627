"""Checking what callers give: types and ranges, with one clear line on what was expected."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from numbers import Integral, Real
from pathlib import Path

import numpy as np

from blipvino.errors import InputError


def shown(value: object, width: int = 80) -> str:
    """A value as a message shows it: on one line, cut off where it is long."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # a repr may raise anything, as that of an integer of 5,000 digits does
        text = f"a {type(value).__name__}"
    return text if len(text) <= width else f"{text[:width]}…"


def integer(name: str, value: object, at_least: int | None = None, at_most: int | None = None) -> int:
    """An integer, numpy's included, as Python's.

    Raises:
        InputError: it is no integer (a bool is none) or out of range.
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise InputError(f"{name} is {shown(value)}, expected an integer (int)")
    number = int(value)
    if (at_least is not None and number < at_least) or (at_most is not None and number > at_most):
        expected = f"at least {at_least}" if at_most is None else f"from {at_least} to {at_most}"
        raise InputError(f"{name} is {shown(number)}, expected {expected}")
    return number


def real(name: str, value: object) -> float:
    """A number, numpy's included, as Python's float; one that is too large for it is infinite.

    Raises:
        InputError: it is no number (a bool is none).
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise InputError(f"{name} is {shown(value)}, expected a number (float)")
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf  # type: ignore[operator]  # Real has no order in typeshed


def flag(name: str, value: object) -> bool:
    """True or False, numpy's included, as Python's.

    Raises:
        InputError: it is neither.
    """
    if not isinstance(value, bool | np.bool_):
        raise InputError(f"{name} is {shown(value)}, expected True or False (bool)")
    return bool(value)


def choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Check that a value is one of some words.

    Raises:
        InputError: it is not.
    """
    if not isinstance(value, str) or value not in choices:
        raise InputError(f"{name} is {shown(value)}, expected one of {', '.join(map(repr, choices))}")


def folder_path(name: str, value: object) -> Path:
    """A path that a file system can have.

    Raises:
        InputError: it is no path, is empty, or has characters that no path has.
    """
    given = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(given, str) or not given:
        raise InputError(f"{name} is {shown(value)}, expected the path of a folder")
    try:
        encoded = os.fsencode(given)
    except UnicodeEncodeError:
        encoded = b"\0"
    if b"\0" in encoded:
        raise InputError(f"{name} is {given[:80]!a}, which has characters that no path has; expected that of a folder")
    return Path(given)


def kind_of(value: object) -> str:
    """The type of a value, with its article: "a list", "an int"."""
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"
