"""The house rules that neither ruff, mypy nor import-linter checks."""

import ast
import re
import tomllib
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

import blipvino

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src/blipvino").rglob("*.py"))
FOLDERS = {"src", "tests", "benchmarks", "training", "docs", "website", "notebooks"} | {
    path.name for path in (ROOT / "src/blipvino").iterdir()
}
LONGEST_FILE, LONGEST_FUNCTION = 400, 60


def relative(path):
    return path.relative_to(ROOT).as_posix()


def test_there_are_sources():
    assert len(SOURCES) > 150


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_files_and_functions_are_short(path):
    text = path.read_text()
    assert len(text.splitlines()) <= LONGEST_FILE
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    too_long = {
        node.name: length for node in functions if (length := node.end_lineno - node.lineno + 1) > LONGEST_FUNCTION
    }
    assert not too_long


def test_no_two_files_import_each_other():
    graph = grimp.build_graph("blipvino", cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(imports) > 150
    assert len(list(TopologicalSorter(imports).static_order())) == len(imports)  # raises where there is a circle


def test_no_two_folders_import_each_other():
    graph = grimp.build_graph("blipvino", cache_dir=None)
    packages = {module.rpartition(".")[0] for module in graph.modules} - {""}
    for package in packages:
        # What is imported from one of its files or folders to another, whatever lies deeper.
        part = {module: ".".join(module.split(".")[: package.count(".") + 2]) for module in graph.modules}
        inside = [module for module in graph.modules if module.startswith(f"{package}.")]
        imports = {part[module]: set() for module in inside}
        for module in inside:
            found = {part[each] for each in graph.find_modules_directly_imported_by(module) if each in set(inside)}
            imports[part[module]] |= found - {part[module]}
        assert len(list(TopologicalSorter(imports).static_order())) == len(imports), package


def test_no_two_modules_have_one_name_but_a_verb_and_what_it_runs():
    names = Counter(path.stem for path in SOURCES if path.parent.name != "cli" and not path.stem.startswith("__"))
    assert [name for name, count in names.items() if count > 1] == []


def test_every_folder_is_a_floor_or_stands_on_one():
    """A new folder of the package must be given its place among the layers."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    listed = set(re.findall(r"\w+", " ".join(contracts[0]["layers"])))
    found = {path.stem for path in (ROOT / "src/blipvino").iterdir() if path.suffix == ".py" or path.is_dir()}
    assert found - {"__init__", "__pycache__"} == listed


def test_paths_that_the_docs_name_are_there():
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    roots = (ROOT, ROOT / "src/blipvino")
    for page in pages:
        named = re.findall(r"(?<![\w/.-])((?:[a-z_]+/)+(?:[a-z_]+\.(?:py|md|png|jsonl))?)(?![\w/])", page.read_text())
        for name in named:
            if name.split("/")[0] in FOLDERS:
                assert any((root / name).exists() for root in roots), f"{page.name} names {name}"


def test_public_names_are_those_that_the_docs_describe():
    described = re.findall(r"^### `(\w+)", (ROOT / "docs/api.md").read_text(), re.MULTILINE)
    assert described == sorted(described, key=str.lower)
    assert set(described) == set(blipvino.__all__)
    assert len(described) == len(blipvino.__all__)


def test_public_names_are_documented_where_they_are():
    for name in blipvino.__all__:
        assert (getattr(blipvino, name).__doc__ or "").strip(), name


def test_modules_that_users_import_from_say_what_is_public():
    """The modules that docs and README import from."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    imported = {name for page in pages for name in re.findall(r"^from (blipvino[.\w]*) import", page.read_text(), re.M)}
    for name in imported - {"blipvino"}:
        path = ROOT / "src" / Path(*name.split("."))
        source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        assert "__all__" in source.read_text(), f"{name}: the docs import from it, so it must have __all__"
