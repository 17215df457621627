"""Options that verbs share: they reach the model, and those without effect are refused."""

import pytest
from command_line import refused, run


def test_generation_options_reach_the_decoder(bundle, photo):
    short = run("caption", bundle, photo, "--max-new-tokens", 2).stdout
    assert len(short.split()) == 2
    drawn = [run("caption", bundle, photo, "--do-sample", "--seed", 5, "--temperature", 3).stdout for _ in range(2)]
    assert drawn[0] == drawn[1]


def test_bad_inputs_to_a_bundle(bundle, photo, tmp_path):
    noise = tmp_path / "noise.jpg"
    noise.write_bytes(bytes(range(256)) * 8)
    assert "cannot be read as an image" in run("caption", bundle, noise, code=2).stderr
    assert "no such image file" in run("ask", bundle, tmp_path / "gone.png", "what?", code=2).stderr
    assert "empty" in run("ask", bundle, photo, " ", code=2).stderr
    assert "tokens" in run("ask", bundle, photo, "why " * 2500, code=2).stderr
    assert "temperature" in run("caption", bundle, photo, "--temperature", 0, code=2).stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["caption", "b", "a.png", "--temperature", 2], "--temperature has no effect without --do-sample"),
        (["caption", "b", "a.png", "--seed", 2], "--seed has no effect without --do-sample"),
        (["ask", "b", "a.png", "q", "--top-k", 50], "--top-k has no effect without --do-sample"),
        (["ask", "b", "a.png", "q", "--top-p", 0.5], "--top-p has no effect without --do-sample"),
        (
            ["ask", "b", "a.png", "q", "--length-penalty", 2],
            "--length-penalty has no effect without --num-beams above 1",
        ),
        (["ask", "b", "a.png", "q", "--answers", "f", "--num-beams", 3], "--num-beams has no effect with --answers"),
        (["ask", "b", "a.png", "q", "--answers", "f", "--max-new-tokens", 3], "--max-new-tokens has no effect with"),
        (["caption", "b", "a.png", "--prefix", "x"], "--prefix has no effect without --sidecar txt"),
        (
            ["caption", "b", "a.png", "--sidecar", "xmp", "--suffix", "x"],
            "--suffix has no effect without --sidecar txt",
        ),
        (["caption", "b", "a.png", "--sidecar-name", "full"], "--sidecar-name has no effect without --sidecar"),
        (["ask", "b", "a.png", "q", "--keep-mtime"], "--keep-mtime has no effect without --write-metadata"),
        (["ask", "b", "a.png", "q", "--overwrite"], "--overwrite has no effect without --sidecar or --write-metadata"),
        (["caption", "b", "a.png", "--skip-existing"], "--skip-existing has no effect without --sidecar or"),
        (["ask", "b", "a.png", "q", "--cache", "c", "--no-cache"], "--cache has no effect with --no-cache"),
        (
            ["optimize", "demo", "-o", "o", "--recipe", "none", "--samples", 9],
            "--samples has no effect with --recipe none",
        ),
        (["optimize", "demo", "-o", "o", "--recipe", "none", "--calibration", "demo"], "--calibration has no effect"),
        (["optimize", "demo", "-o", "o", "--max-drop", 1], "--max-drop has no effect without --recipe auto"),
        (
            ["optimize", "demo", "-o", "o", "--search-minutes", 1],
            "--search-minutes has no effect without --recipe auto",
        ),
        (["evaluate", "b", "--top-k", 5], "--top-k has no effect without --answers"),
        (["evaluate", "b", "--restart"], "--restart has no effect without --output"),
        (["evaluate", "b", "--no-original", "--original", "o"], "--original has no effect with --no-original"),
        (["evaluate", "--predictions", "p.json", "--num-beams", 3], "--num-beams has no effect with --predictions"),
        (["report", "b", "--diagnosis", "d.json", "--diagnose-samples", 3], "--diagnose-samples has no effect with"),
        (["diagnose", "b", "--json", "--worst", 3], "--worst has no effect with --json"),
    ],
)
def test_options_without_effect_are_refused(arguments, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(refused(*arguments)).startswith(says)
    assert list(tmp_path.iterdir()) == []
