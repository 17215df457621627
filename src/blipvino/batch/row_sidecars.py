"""Texts of rows, kept beside their photos or in them, as `blipvino caption` keeps them."""

from __future__ import annotations

from dataclasses import replace

from blipvino.batch.batch_rows import InputRow, OutputRow, Task
from blipvino.errors import InputError
from blipvino.photos.places import Describer


class RowSidecars:
    """Keeps the text of each row.

    It is kept before the row's shard is finished. So what a run that was killed kept is kept again: that changes
    nothing, since the text is the same.

    Args:
        describer: writes texts to their places.
        tasks: of the job.
        several_questions: whether more than one is asked of each image.

    Raises:
        InputError: the job makes no text, or too many.
    """

    def __init__(self, describer: Describer, tasks: tuple[Task, ...], *, several_questions: bool) -> None:
        self._describer = describer
        self._column: Task = "caption"
        if "caption" in tasks:
            return
        self._column = "answer"
        if "answer" not in tasks:
            raise InputError("sidecars and descriptions are captions or answers; add one of these tasks")
        if several_questions:
            raise InputError("a sidecar and an image's description take one answer each; ask one question with them")

    def kept(self, row: OutputRow) -> OutputRow:
        """Keep a row's text, if it has one and a file; where that fails, the row's error says so.

        Raises:
            OutputError: no text can be kept any more.
        """
        text = row.made.get(self._column)
        path = InputRow(row.id, row.image).path
        if not text or path is None:
            return row
        told = [str(problem) for problem in self._describer.describe(path, text).problems]
        return replace(row, error="; ".join([*([row.error] if row.error else []), *told])) if told else row
