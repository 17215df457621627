"""The code blocks of README.md and docs/: found by sybil, and run or checked each by its language.

A block whose title begins with "Not run" is checked as far as that goes without running it: Python is compiled and what
it imports from blipvino is looked up, commands are parsed by the real command line. A title "In PATH" says that it
stands in that file.
"""

from __future__ import annotations

import ast
import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import yaml
from sybil import Document, Region
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown.lexers import RawFencedCodeBlockLexer

ROOT = Path(__file__).parents[2]
NOT_RUN = "Not run by the tests"
_INFO = re.compile(r'(?P<language>[\w-]*)(?: title="(?P<title>[^"]*)")?[ \t]*$\n', re.MULTILINE)
_RUN_PYTHON = PythonEvaluator()
_TEXT = ("", "text", "mermaid")
_TUTORIAL = "The tutorial"
"""Blocks with this title are of OpenVINO's notebook, shortened."""


def pages():
    """README.md and all pages of docs/."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def run_page(name, world):
    """Run the blocks of a page, in order; they share names. ``world`` is where they run."""
    page = ROOT / name if name == "README.md" else ROOT / "docs" / name
    document = Document.parse(str(page), lambda document: _regions(document, world))
    document.namespace.update(world.names)
    for example in document.examples():
        try:
            example.evaluate()
        except BaseException as error:
            error.add_note(f"in the block at {page.relative_to(ROOT)}, line {example.line}")
            raise


def _regions(document: Document, world) -> Iterator[Region]:
    for region in RawFencedCodeBlockLexer(_INFO)(document):
        language, title = region.lexemes["language"], region.lexemes["title"] or ""
        evaluator = _evaluator(language, title, world)
        if evaluator is not None:
            yield Region(region.start, region.end, region.lexemes["source"], evaluator, {"title": title})


def _evaluator(language, title, world):
    if language in _TEXT or title == _TUTORIAL:
        return None
    if language == "python":
        if title.startswith(NOT_RUN):
            return lambda example: check_python(example.parsed)
        if title.startswith("In "):
            return lambda example: check_excerpt(example.parsed, ROOT / title.removeprefix("In "))
        return lambda example: _run_python(example, world)
    if language == "sh":
        runs = not title.startswith(NOT_RUN)
        return lambda example: world.shell(example.parsed, runs=runs)
    check = {"json": _check_json, "yaml": yaml.safe_load}[language]

    def checked(example):  # what an evaluator returns is taken as what is wrong
        check(example.parsed)

    return checked


def _run_python(example, world):
    world.prepare(example.parsed)
    example.parsed = type(example.parsed)(
        world.placed(example.parsed), example.parsed.offset, example.parsed.line_offset
    )
    _RUN_PYTHON(example)


def check_python(source):
    """Compile it, and import what it imports from blipvino."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("blipvino"):
            module = importlib.import_module(node.module)
            for name in node.names:
                getattr(module, name.name)


def check_excerpt(source, path):
    """Assert that it stands in the file, whatever the comments and line breaks."""
    (wanted,) = ast.parse(source).body
    wanted = wanted.value if isinstance(wanted, ast.Expr) else wanted
    found = {ast.dump(node) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, type(wanted))}
    assert ast.dump(wanted) in found, f"this is not in {path}"


def _check_json(source):
    """One value, or one a line."""
    try:
        json.loads(source)
    except ValueError:
        for line in source.splitlines():
            json.loads(line)
