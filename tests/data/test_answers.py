"""Lists of answers to choose from."""

import pytest

from blipvino.data import read_answers
from blipvino.errors import DataError


def test_lists_of_answers(tmp_path):
    text, listed = tmp_path / "a.txt", tmp_path / "a.json"
    text.write_text("﻿ yes \r\nno\n\nyes\n", encoding="utf-8")
    listed.write_text('["net", "pitcher"]')
    assert read_answers(text) == ["yes", "no"]
    assert read_answers(listed) == ["net", "pitcher"]
    for path, content, says in ((text, b"\n", "no answers"), (text, b"\xff\n", "UTF-8"), (listed, b"[1]", "strings")):
        path.write_bytes(content)
        with pytest.raises(DataError, match=says):
            read_answers(path)
