"""A text as it grows, in pieces that put together are the text."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from queue import SimpleQueue

from blipvino.runtime.decoding.generated import GeneratedTokens
from blipvino.runtime.inputs.texts import TextProcessor
from blipvino.runtime.scheduling.jobs import TextJob
from blipvino.runtime.scheduling.scheduler import Scheduler


class TextPieces:
    """Cuts a growing text into pieces.

    A piece ends before the last word, which the next token may go on with, or the tokenizer may join with what comes
    (``don ' t``).

    Args:
        texts: that decode tokens.
    """

    def __init__(self, texts: TextProcessor) -> None:
        self._texts = texts
        self._given = ""

    def grown(self, token_ids: Sequence[int]) -> str:
        """What can be told of a text with these tokens so far, and has not been; may be empty."""
        text = self._texts.decode(token_ids)
        end = text.rfind(" ")
        if text.endswith("'"):
            end = text.rfind(" ", 0, end)
        return self._up_to(text[: max(0, end)])

    def rest(self, text: str) -> str:
        """What is left of the whole text."""
        return self._up_to(text)

    def _up_to(self, text: str) -> str:
        piece = text[len(self._given) :]
        self._given += piece
        return piece


def stream_text(
    scheduler: Scheduler, job: TextJob, texts: TextProcessor, finished: Callable[[GeneratedTokens], str]
) -> Generator[str]:
    """Generate a text, and give it in pieces. When it is closed, the text is given up.

    Args:
        scheduler: does it.
        job: the text; whoever heard its tokens so far hears no more.
        texts: that decode tokens.
        finished: makes the whole text of its tokens.

    Raises:
        BlipvinoError: the text cannot be made.
    """
    heard: SimpleQueue[Sequence[int] | None] = SimpleQueue()
    job = replace(job, heard=heard.put)
    job.result.add_done_callback(lambda _: heard.put(None))
    pieces = TextPieces(texts)
    scheduler.submit([job])
    try:
        while (token_ids := heard.get()) is not None:
            if piece := pieces.grown(token_ids):
                yield piece
        if piece := pieces.rest(finished(job.result.result())):
            yield piece
    finally:
        job.result.cancel()
