"""Checkpoints in place of bundles: those that are of no use to a verb are refused before they are optimized."""

import pytest
from command_line import refused

from blipvino.optimization import optimize


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("caption", "demo-retrieval", "{photo}", "--cache", "{cache}"), "generates none"),
        (("ask", "demo-retrieval", "{photo}", "red?", "--cache", "{cache}"), "generates none"),
        (("ask", "{captioner}", "{photo}", "red?", "--cache", "{cache}"), "captions only"),
        (("calibrate", "demo-retrieval", "--data", "demo:validation"), "generates none"),
        (
            ("index", "{cache}", "-o", "{cache}/index", "--bundle", "demo", "--cache", "{cache}"),
            "finds and matches none",
        ),
    ],
)
def test_what_is_of_no_use_is_not_optimized(tiny_captioner, photo, tmp_path, monkeypatch, arguments, message):
    monkeypatch.setattr(optimize, "optimize", lambda *_, **__: pytest.fail("it is optimized"))
    monkeypatch.setenv("BLIPVINO_CACHE", str(tmp_path))
    monkeypatch.setattr("blipvino.cli.given_bundle.default_cache", lambda: tmp_path)
    places = {"photo": photo, "cache": tmp_path, "captioner": tiny_captioner.folder}
    assert message in str(refused(*(part.format(**places) for part in arguments)))
