"""The command that makes a report."""

import json

import pytest
from command_line import refused

from blipvino.cli.main import main


def test_the_command_line_makes_a_report(compressed, tiny_vqa, tmp_path, capsys, monkeypatch):
    shown = []
    monkeypatch.setattr("blipvino.cli.report.open_page", shown.append)
    path = tmp_path / "report.html"
    arguments = [
        "report",
        compressed.folder,
        "-o",
        path,
        "--original",
        tiny_vqa.bundle,
        "--samples",
        2,
        "--captions",
        1,
    ]
    arguments += ["--latency-samples", 0, "--diagnose-samples", 0, "--max-new-tokens", 4, "--quiet"]
    for option in ([], ["--open", "--json"]):
        monkeypatch.setattr("sys.argv", ["blipvino", *map(str, [*arguments, *option])])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        assert shown == ([path] if option else [])
        printed = capsys.readouterr().out
        assert printed.strip() == f"Report: {path.as_uri()}" if not option else json.loads(printed)["sizes"]


@pytest.mark.parametrize(
    ("kind", "option", "why"),
    [
        ("tiny_vqa", "--images", "without a bundle for retrieval"),
        ("tiny_retriever", "--samples", "with a bundle for retrieval"),
        ("tiny_retriever", "--max-new-tokens", "with a bundle for retrieval"),
    ],
)
def test_what_is_of_the_other_kind_is_refused(request, tmp_path, kind, option, why):
    bundle = request.getfixturevalue(kind).bundle
    assert f"{option} has no effect {why}" in str(refused("report", bundle, "-o", tmp_path / "r.html", option, 3))
