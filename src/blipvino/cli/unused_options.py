"""Options that would have no effect are refused: whoever gives one expects one."""

from __future__ import annotations

from collections.abc import Iterable

import typer

from blipvino.errors import InputError


def refuse_unused(context: typer.Context, names: Iterable[str], where: str) -> None:
    """Refuse options that the command line gives and that have no effect there: whoever gives one expects one.

    Args:
        context: of the command.
        names: of its parameters.
        where: beside what they have no effect, such as "with --no-cache".

    Raises:
        InputError: one of them is given.
    """
    for name in names:
        if is_given(context, name):
            raise InputError(f"{_option(context, name)} has no effect {where}; leave it out")


def is_given(context: typer.Context, name: str) -> bool:
    """Whether the command line gives a parameter, be it with the value that it has anyhow."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _option(context: typer.Context, name: str) -> str:
    """A parameter as the command line has it."""
    return next(parameter.opts[0] for parameter in context.command.params if parameter.name == name)
