"""The blocks of all other pages run; and what may be left out of a page is left out visibly."""

import re

import pytest
from documentation.code_blocks import NOT_RUN, ROOT, check_excerpt, check_python, pages, run_page
from documentation.page_groups import GROUPS
from documentation.shell_blocks import check, pipelines, run_pipeline

GROUPED = {page for group in GROUPS.values() for page in group}
OTHERS = [page.name for page in pages() if page.name not in GROUPED]


@pytest.mark.parametrize("page", OTHERS)
def test_the_page_runs(page, world):
    run_page(page, world)


def test_every_page_is_run_once():
    assert {page.name for page in pages()} >= GROUPED
    assert sum(map(len, GROUPS.values())) == len(GROUPED)


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_a_block_that_is_not_run_says_why(page):
    for title in re.findall(r'^ *```\w+ title="([^"]*)"', page.read_text(), re.MULTILINE):
        if title.startswith("Not run"):
            assert title.startswith(f"{NOT_RUN}: ") or title == NOT_RUN
        else:
            assert title == "The tutorial" or (ROOT / title.removeprefix("In ")).is_file()


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_nothing_is_installed_by_a_name_that_no_index_has(page):
    """Until it is published: somebody else may have taken the name."""
    assert not re.search(r"pip install '?blipvino\b", page.read_text())


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_whoever_is_told_of_the_tutorial_can_look_up_what_that_is(page):
    name = "coming-from-the-tutorial.md"
    assert page.name == name or "tutorial" not in page.read_text() or f"{name})" in page.read_text()


def parsed(line):
    (stages,) = pipelines(line)
    return stages


@pytest.mark.parametrize(
    "line",
    [
        "blipvino caption b photo.jpg --no-such-option",
        "blipvino no-such-verb",
        "blipvino optimize demo",
        "blipvino caption b a.jpg --num-beams many",
        "make no-such-target",
        "jupyter lab notebooks",
        "pip install 'blipvino[no-such-extra]'",
        "python -m benchmarks.accuracy demo --no-such-option",
        "python -m pytest tests/no_such_file.py",
        "rm photo.jpg",
    ],
)
def test_a_command_that_would_fail_is_found_without_running_it(line):
    with pytest.raises(Exception, match=r"."):
        check(parsed(line))


def test_python_that_would_fail_is_found_without_running_it():
    with pytest.raises(SyntaxError):
        check_python("blip.caption(")
    with pytest.raises(AttributeError):
        check_python("from blipvino import NoSuchName")
    with pytest.raises(AssertionError):
        check_excerpt("find_recipe('int9')", ROOT / "src/blipvino/graphs/specs.py")


def test_commands_are_read_as_a_shell_reads_them():
    found = list(
        pipelines(
            "A=1 blipvino ask b \\\n  'a | b' > out.txt 2>> log  # a remark\n"
            "printf 'x\\n' | blipvino caption b - && make demo"
        )
    )
    assert [[stage.words for stage in stages] for stages in found] == [
        [["blipvino", "ask", "b", "a | b"]],
        [["printf", "x\\n"], ["blipvino", "caption", "b", "-"]],
        [["make", "demo"]],
    ]
    assert found[0][0].variables == {"A": "1"}
    assert found[0][0].redirections == [(">", "out.txt"), ("2>>", "log")]


def test_a_command_that_fails_is_told_of(tmp_path):
    with pytest.raises(AssertionError, match="neither a bundle"):
        run_pipeline(parsed(f"blipvino ask {tmp_path} photo.jpg 'what is it?'"), tmp_path)
