"""The reference of the command line, made from the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer
from rich.text import Text

from blipvino.cli.main import app

_HEAD = """# The command line

What `blipvino VERB --help` says, in one page. What all verbs have in common, such as exit statuses, is in
[Get started](start.md#what-all-commands-have-in-common).
"""


def command_page() -> str:
    """The page, in Markdown: a section a verb, with its arguments and options."""
    group: Any = typer.main.get_command(app)
    context = group.context_class(group, info_name="blipvino")
    parts = [_HEAD, *_parameters(group, context)]
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        parts += _section(name, command, group.context_class(command, info_name=name, parent=context))
    return "\n".join(parts)


def _section(name: str, command: Any, context: Any) -> Iterator[str]:
    yield f"\n## {name}\n"
    yield f"{_plain(command.help)}\n"
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"```text\nblipvino {name} {usage}\n```\n"
    if command.epilog:
        yield f"{_linked(_plain(command.epilog))}\n"
    yield from _parameters(command, context)


def _linked(epilog: str) -> str:
    """An example as code."""
    said, colon, example = epilog.partition(": ")
    return f"{said}: `{example}`" if colon else epilog


def _parameters(command: Any, context: Any) -> Iterator[str]:
    """A table of arguments and one of options, as far as the command has any."""
    for kind, title in (("argument", "Argument"), ("option", "Option")):
        rows = [
            parameter.get_help_record(context)
            for parameter in command.get_params(context)
            if parameter.param_type_name == kind
        ]
        shown = [f"| {_code(name)} | {_cell(text)} |" for name, text in filter(None, rows)]
        if shown:
            yield "\n".join([f"| {title} | Meaning |", "|---|---|", *shown]) + "\n"


def _code(text: str) -> str:
    return f"`{text}`"  # in which a table's separators are none, and a backslash would be shown


def _cell(text: str) -> str:
    return _plain(text).replace("|", "\\|").replace("<", "&lt;").replace("[", "\\[")


def _plain(text: str | None) -> str:
    """Text without rich's marks, its line breaks as spaces."""
    text = text or ""
    return " ".join((Text.from_markup(text).plain if "[/" in text else text).split())
