"""Tokens of captions."""

import pytest

from blipvino.metrics.tokenization import tokenize_caption


@pytest.mark.parametrize(
    ("caption", "tokens"),
    [
        ("A man's dog can't eat 1,000 hot-dogs, at 4:30 p.m.", "a man 's dog ca n't eat 1,000 hot-dogs at 4:30 p.m."),
        (
            "Cannot (won't) gonna -- it’s Mr. Smith's 50% off...",
            "can not ( wo n't ) gon na it 's mr. smith 's 50 % off",
        ),
        ("the \"stop\" sign; 'quoted' and/or o'clock!\n", "the stop sign quoted and/or o'clock"),
        ("St. Mary's, on main st.", "st. mary 's on main st"),
    ],
)
def test_tokens_of_captions(caption, tokens):
    assert tokenize_caption(caption) == tuple(tokens.split())
