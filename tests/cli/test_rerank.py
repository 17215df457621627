"""The best of several captions, from the command line."""

import json

import pytest
from command_line import refused, run


@pytest.fixture(scope="module")
def retrieval(tmp_path_factory):
    """A bundle for retrieval of the demo's world."""
    folder = tmp_path_factory.mktemp("rerank") / "retrieval"
    run("optimize", "demo-retrieval", "-o", folder, "--recipe", "none", "--quiet")
    return folder


def test_the_best_caption_is_told_with_how_well_it_fits(bundle, retrieval, photos, blip):
    drawing = ("--do-sample", "--temperature", 3, "--seed", 1, "--rerank", retrieval)
    told = run("caption", bundle, *photos[1:4], *drawing, "--best-of", 6, "--json", "--scores")
    rows = json.loads(told.stdout)
    plain = json.loads(run("caption", bundle, *photos[1:4], *drawing, "--best-of", 1, "--json", "--scores").stdout)
    assert [row["image"] for row in rows] == [str(path) for path in photos[1:4]]
    assert all(row["match"] >= one["match"] - 1e-4 for row, one in zip(rows, plain, strict=True))
    assert sum(row["match"] for row in rows) > sum(row["match"] for row in plain)
    assert "match" not in json.loads(run("caption", bundle, photos[1], "--json", "--scores").stdout)[0]
    assert "confidence" not in run("info", retrieval).stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--best-of", 4], "--best-of has no effect without --rerank"),
        (["--rerank", "somewhere"], "--rerank chooses among captions that are drawn; add --do-sample"),
    ],
)
def test_what_has_no_use_is_refused(bundle, photo, options, message):
    assert message in str(refused("caption", bundle, photo, *options))


def test_a_bundle_that_does_not_match_is_refused(bundle, photo):
    told = run("caption", bundle, photo, "--do-sample", "--rerank", bundle, code=2)
    assert "load it with Blip.load()" in told.stderr or "retrieval needs" in told.stderr
