"""Dataclasses of plain values, from JSON back into what they were."""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

_PLAIN: Mapping[type, tuple[type, ...]] = {str: (str,), bool: (bool,), int: (int,), float: (float, int)}


def decode(kind: Any, value: Any) -> Any:
    """A parsed JSON value as an annotated type: dataclasses, tuples and mappings of them, and plain values.

    It undoes `dataclasses.asdict` and ``json.dumps`` for tuples of one item type, optional values and dictionaries. A
    field that is missing has its default, where it has one.

    Raises:
        KeyError: a field is missing.
        TypeError: a value is of another type.
    """
    if dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind)
        names = [each.name for each in dataclasses.fields(kind) if each.name in value or _is_required(each)]
        return kind(**{name: decode(hints[name], value[name]) for name in names})  # type: ignore[operator]
    arguments = get_args(kind)
    if get_origin(kind) is tuple:
        return tuple(decode(arguments[0], item) for item in value)
    if get_origin(kind) in (dict, Mapping):
        return {key: decode(arguments[1], item) for key, item in value.items()}
    if get_origin(kind) in (Union, types.UnionType):
        return None if value is None else _one_of([each for each in arguments if each is not types.NoneType], value)
    if get_origin(kind) is Literal and value not in arguments:
        raise TypeError(f"{value!r} is none of {', '.join(map(repr, arguments))}")
    expected = _PLAIN.get(kind) if isinstance(kind, type) else None
    if expected is not None and (not isinstance(value, expected) or isinstance(value, bool) is not (kind is bool)):
        raise TypeError(f"{value!r} is no {kind.__name__}")
    if kind is float and not math.isfinite(value):
        raise TypeError(f"{value!r} is no number")
    return value


def _one_of(kinds: Sequence[Any], value: Any) -> Any:
    """A value as the first of several types that fits."""
    for kind in kinds[:-1]:
        try:
            return decode(kind, value)
        except (KeyError, TypeError):  # the next type says what is wrong, if it does not fit either
            continue
    return decode(kinds[-1], value)


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
