"""Commands of the documentation: `blipvino` is run in this process, other programs as they are or checked.

Numbers that would take minutes are lowered; everything else is as the page has it.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import typer
from typer.testing import CliRunner

from blipvino.cli.main import app

ROOT = Path(__file__).parents[2]
FEWER = {
    "calibrate": ("--samples", "40"),
    "compare": ("--samples", "4"),
    "diagnose": ("--samples", "2"),
    "evaluate": ("--samples", "8"),
    "optimize": ("--samples", "8"),
    "report": ("--samples", "6", "--captions", "2", "--latency-samples", "2", "--diagnose-samples", "1"),
}
"""What a command is given besides, so that it is done in a second."""
_RUN_AS_THEY_ARE = frozenset({"curl", "find", "jq", "printf"})
_PREPARE = frozenset({".", "docker", "git", "jupyter", "make", "pip", "python3.11"})
"""What prepares a machine, and is checked alone: that it works is seen by whoever has come as far as the tests."""
_OPERATORS = "|<>&;"


@dataclass
class Stage:
    """A program of a pipeline: its variables, words and redirections."""

    variables: dict[str, str] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    redirections: list[tuple[str, str]] = field(default_factory=list)


def pipelines(source):
    """The pipelines of a block: a list of stages each."""
    for line in re.sub(r"\\\n\s*", " ", source).splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=_OPERATORS)
        lexer.whitespace_split, lexer.commenters = True, "#"
        stages = [Stage()]
        words = iter(lexer)
        for word in words:
            if word == "|":
                stages.append(Stage())
            elif word in ("&&", ";"):
                yield stages
                stages = [Stage()]
            elif set(word) <= set(_OPERATORS):
                descriptor = stages[-1].words.pop() if stages[-1].words[-1:] == ["2"] else ""
                stages[-1].redirections.append((descriptor + word, next(words)))
            elif re.fullmatch(r"[A-Z_]+=.*", word) and not stages[-1].words:
                name, _, value = word.partition("=")
                stages[-1].variables[name] = value
            else:
                stages[-1].words.append(word)
        if stages[0].words:
            yield stages


def run_pipeline(stages, folder):
    """Run a pipeline in the folder; every program must end well."""
    text = ""
    for stage in stages:
        output, errors = _run(stage, text, folder)
        for operator, target in stage.redirections:
            said = errors if operator.startswith("2") else output
            if target != "/dev/null":
                with (folder / target).open("a" if operator.endswith(">>") else "w") as file:
                    file.write(said)
        text = "" if any(operator in (">", ">>") for operator, _ in stage.redirections) else output
    return text


def _run(stage, text, folder):
    program, *arguments = stage.words
    if program in ("blipvino", ".venv/bin/blipvino"):
        return blipvino(*arguments, given=text, **stage.variables)
    if program not in _RUN_AS_THEY_ARE:
        assert program in _PREPARE, f"{program} is not run: say so in the block's title"
        check([stage])
        return "", ""
    if shutil.which(program) is None:
        return "", ""
    command = [program, *(["--fail-with-body", "--silent"] if program == "curl" else []), *arguments]
    done = subprocess.run(command, input=text, capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0, f"{shlex.join(command)}: {done.stdout}{done.stderr}"
    return done.stdout, done.stderr


def blipvino(verb, *arguments, given="", **variables):
    """Run the command line in this process; it must end well. Patterns are expanded as a shell does."""
    words = [verb, *(word for argument in arguments for word in _expanded(argument)), *fewer(verb, arguments)]
    result = CliRunner(env=variables).invoke(app, words, input=given.encode())
    assert result.exit_code == 0, f"blipvino {shlex.join(words)}: {result.exception!r} {result.output}"
    return result.stdout, result.stderr


def fewer(verb, arguments):
    """The options of `FEWER`; none for a verb, or a use of it, that has no such numbers."""
    if any(each in arguments for each in ("--forget", "--predictions", "none")):
        return ()
    if verb == "evaluate" and any("itm" in each or "retrieval" in each for each in arguments):
        return ("--images", "10")
    return FEWER.get(verb, ())


def _expanded(argument):
    if "*" not in argument:
        return [argument]
    return sorted(map(str, Path().glob(argument))) or [argument]


def check(stages):
    """Check a pipeline without running it: verbs and options, and whether targets, modules, extras and paths exist."""
    for stage in stages:
        program, *arguments = stage.words
        program = program.removeprefix(".venv/bin/").removeprefix(".venv-dev/bin/")
        assert program in _CHECKS, f"{program}: tests/documentation cannot tell whether this would run"
        _CHECKS[program](arguments)


def _check_blipvino(arguments):
    group = typer.main.get_command(app)
    context = group.context_class(group, info_name="blipvino")
    if arguments[0].startswith("-"):
        group.make_context("blipvino", arguments, resilient_parsing=True)
        return
    command = group.get_command(context, arguments[0])
    assert command is not None, f"there is no verb {arguments[0]}"
    command.make_context(arguments[0], list(arguments[1:]), parent=context)


def _check_python(arguments):
    if arguments[0] == "-c":
        compile(arguments[1], "-c", "exec")
        return
    assert arguments[0] == "-m", arguments
    module, *options = arguments[1:]
    if module == "pytest":
        for path in (each.partition("::")[0] for each in options if each.startswith("tests/")):
            assert (ROOT / path).exists(), path
    elif module.partition(".")[0] in ("benchmarks", "training"):
        source = (ROOT / Path(*module.split("."))).with_suffix(".py").read_text()
        for option in (each.partition("=")[0] for each in options if each.startswith("--")):
            assert f'"{option}"' in source or f'"--{option.removeprefix("--no-")}"' in source, (
                f"{module} has no {option}"
            )
    else:
        assert module == "venv", module


def _check_make(arguments):
    targets = re.findall(r"^([\w/.-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(arguments) <= set(targets), arguments


def _check_pip(arguments):
    extras = set(re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text(), re.MULTILINE))
    assert arguments[0] == "install"
    for named in re.findall(r"\[([\w,-]+)\]", " ".join(arguments)):
        assert set(named.split(",")) <= extras, named


def _check_jupyter(arguments):
    assert arguments == ["lab"], "from notebooks/ alone, no link of theirs to docs/ can be followed"


def _anything(_arguments):
    """Of programs that are not ours."""


_CHECKS = {
    "blipvino": _check_blipvino,
    "jupyter": _check_jupyter,
    "make": _check_make,
    "pip": _check_pip,
    "python": _check_python,
    "python3.11": _check_python,
    **dict.fromkeys((".", "docker", "git", "ray", *_RUN_AS_THEY_ARE), _anything),
}
