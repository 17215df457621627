"""The command that makes a report."""

import json

import pytest

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
