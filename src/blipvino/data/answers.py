"""Lists of answers to choose from, such as the 3,128 that BLIP's paper ranks."""

from __future__ import annotations

from pathlib import Path

from blipvino.errors import DataError
from blipvino.files.sample_files import read_bytes, read_json_list


def read_answers(path: Path) -> list[str]:
    """Read a list of answers: a text file with one a line, or a ``.json`` file with a list, as upstream has it.

    Blank lines are passed over, and so are answers that came before.

    Raises:
        DataError: the file cannot be read, or holds no answers or something else.
    """
    answers = _from_json(path) if path.suffix.lower() == ".json" else _lines(path)
    kept = list(dict.fromkeys(answer.strip() for answer in answers if answer.strip()))
    if not kept:
        raise DataError(f"{path}: no answers in it; expected one a line")
    return kept


def _lines(path: Path) -> list[str]:
    try:
        return read_bytes(path).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not text in UTF-8 ({error}); expected one answer a line") from error


def _from_json(path: Path) -> list[str]:
    answers = read_json_list(path)
    if not all(isinstance(answer, str) for answer in answers):
        raise DataError(f'{path}: expected a list of strings, such as ["yes", "no"]')
    return answers
