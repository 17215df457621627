"""Checkpoints in place of bundles: those that are of no use to a verb are refused before they are optimized."""

import shutil
from pathlib import Path

import pytest
from command_line import refused

from blipvino.bundle.bundle import open_bundle
from blipvino.cli.given_bundle import bundle_folder
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


def test_what_is_in_the_cache_is_called_as_it_was_given(tiny_retriever, photo, tmp_path, monkeypatch):
    def optimized(_, output, **__):
        return open_bundle(Path(shutil.copytree(tiny_retriever.bundle, output)))

    monkeypatch.setattr(optimize, "optimize", optimized)
    kept = bundle_folder(Path("demo-retrieval"), quiet=True, cache=tmp_path)
    assert kept.is_relative_to(tmp_path)
    told = str(refused("caption", "demo-retrieval", photo, "--cache", tmp_path))
    assert told.startswith("demo-retrieval: ") and "such as Salesforce/blip-vqa-base, or demo" in told
