"""The command line: its verbs, and how it ends when it is refused or stopped."""

from __future__ import annotations

import logging
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from io import TextIOWrapper
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from blipvino import __version__
from blipvino.cli import (
    ask,
    batch,
    bench,
    cache,
    calibrate,
    caption,
    compare,
    demo,
    diagnose,
    evaluate,
    export,
    index,
    info,
    optimize,
    report,
    search,
    selftest,
    serve,
    stress,
    tune,
)
from blipvino.cli.output import print_error
from blipvino.errors import BlipvinoError, InputError
from blipvino.machine.host import choose_arithmetic
from blipvino.machine.versions import library_versions

INTERRUPTED = 128 + signal.SIGINT
"""Exit status after Ctrl-C, as shells have it."""


_UsageError: type[Any] = typer.BadParameter.__mro__[1]
"""click's class of errors in how a command is called; typer has click's classes or, by its version, copies of them."""


class _Program(TyperGroup):
    """Says on standard error, in a line, that it was interrupted, which typer alone does in silence, or called wrongly,
    which typer alone does in five.
    """

    def make_context(self, *args: Any, **extra: Any) -> Any:
        try:
            return super().make_context(*args, **extra)
        except _UsageError as error:
            raise _refused(error) from None

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except _UsageError as error:
            raise _refused(error) from None
        except KeyboardInterrupt:
            if ctx.params.get("debug"):
                traceback.print_exc()
            print_error("interrupted")
            raise typer.Exit(INTERRUPTED) from None


def _refused(error: Any) -> Exception:
    """The end of a command that was called wrongly, after a line on why; of one without arguments, the help is all."""
    if type(error).__name__ == "NoArgsIsHelpError":
        refused: Exception = error
        return refused
    reason = " ".join(error.format_message().split()).removesuffix(".").replace(": Value error, ", ": ")
    command = "blipvino" if error.ctx is None else error.ctx.command_path
    print_error(f"{reason}; {_way_out(sys.argv[1:])}`{command} --help` lists what there is")
    return typer.Exit(2)


def _way_out(arguments: Sequence[str]) -> str:
    """How a file is named whose name begins as an option does, if there is one of such a name."""
    named = next((text for text in arguments if text.startswith("-") and os.path.lexists(text)), None)
    return "" if named is None else f"the file of that name is ./{named}; "


app = typer.Typer(
    cls=_Program,
    help="Small, fast, verified BLIP models on an ordinary CPU.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for verb in (
    *(optimize, caption, ask, compare, report, evaluate, diagnose),
    *(bench, stress, selftest, tune, calibrate, export, info, cache, demo),
    *(index, search, batch, serve),
):
    app.add_typer(verb.app)  # without a name, its command becomes one of the app's


def _print_version(asked: bool) -> None:
    if asked:
        for line in _version_lines():
            typer.echo(line)
        raise typer.Exit


def _version_lines() -> Iterator[str]:
    """The version; then what decides what a bundle computes here, as a report of a defect needs it."""
    yield f"blipvino {__version__}"
    libraries = ", ".join(f"{name} {version}" for name, version in library_versions().items())
    yield f"Python {sys.version.split()[0]}, {libraries}"
    try:
        yield choose_arithmetic().reason
    except InputError as error:  # of the environment variable
        yield str(error)


DebugFlag = Annotated[bool, typer.Option("--debug", help="Show tracebacks and what is being done.")]
VersionFlag = Annotated[
    bool,
    typer.Option("--version", callback=_print_version, is_eager=True, help="Show versions and this CPU's arithmetic."),
]


@app.callback()
def _main(debug: DebugFlag = False, version: VersionFlag = False) -> None:
    if debug:
        logging.basicConfig(level=logging.DEBUG)
    else:
        logging.basicConfig(level=logging.WARNING, format="blipvino: %(message)s")


def _terminate(number: int, _frame: FrameType | None) -> NoReturn:
    """End as Ctrl-C does, so that nothing half-written is left; a second signal does not stop the tidying up."""
    signal.signal(number, signal.SIG_IGN)
    raise SystemExit(128 + number)


def main() -> None:
    """Run the command line. What blipvino refuses is one line on standard error and status 2."""
    signal.signal(signal.SIGTERM, _terminate)
    if isinstance(sys.stdout, TextIOWrapper):  # names of files come out as they are, whatever bytes they have
        sys.stdout.reconfigure(errors="surrogateescape")
    try:
        app(prog_name="blipvino")  # by `python -m blipvino` too: shells complete and install for this name
    except (BlipvinoError, OSError) as error:  # OSError: a path too long to look up, a folder not to be entered
        if "--debug" in sys.argv[1:]:
            raise
        print_error(error)
        raise SystemExit(2) from None
