"""`Blip`: captions of images and answers to questions about them, from a bundle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, overload

from blipvino.checkpoint.architectures import FOR_ANSWERS, retrieves
from blipvino.checks import flag, integer
from blipvino.errors import InputError
from blipvino.progress import Reporter
from blipvino.runtime.decoding.generated import Generated
from blipvino.runtime.decoding.ranking import DEFAULT_TOP_K, AnswerList, Ranking
from blipvino.runtime.loaded_model import DEFAULT_BATCH_SIZE, LoadedModel
from blipvino.runtime.pairing import Image, Images, listed_images, streamed_images
from blipvino.runtime.results import Confidence


class Blip(LoadedModel):
    """A BLIP model, loaded from a bundle. Its methods may be called from several threads; they take turns.

    Generation options are keyword arguments with the names and defaults of `GenerationOptions`, but that
    ``max_new_tokens`` is by default what the checkpoint's ``generation_config.json`` says, if it says anything. A text
    that is longer is cut off there, which the text alone does not show: ``return_details`` does.

    What every model does is in `LoadedModel`: `load`, `features`, `feature_stream`.
    """

    @overload
    def caption(
        self, images: Image, prompt: str | None = None, *, return_details: Literal[True], **options: Any
    ) -> Generated: ...

    @overload
    def caption(
        self, images: Sequence[Image], prompt: str | None = None, *, return_details: Literal[True], **options: Any
    ) -> list[Generated]: ...

    @overload
    def caption(
        self, images: Image, prompt: str | None = None, *, return_scores: Literal[True], **options: Any
    ) -> Generated: ...

    @overload
    def caption(
        self, images: Sequence[Image], prompt: str | None = None, *, return_scores: Literal[True], **options: Any
    ) -> list[Generated]: ...

    @overload
    def caption(
        self, images: Image, prompt: str | None = None, *, stream: Literal[True], **options: Any
    ) -> Iterator[str]: ...

    @overload
    def caption(
        self,
        images: Image,
        prompt: str | None = None,
        *,
        return_details: Literal[False] = False,
        return_scores: Literal[False] = False,
        **options: Any,
    ) -> str: ...

    @overload
    def caption(
        self,
        images: Sequence[Image],
        prompt: str | None = None,
        *,
        return_details: Literal[False] = False,
        return_scores: Literal[False] = False,
        **options: Any,
    ) -> list[str]: ...

    def caption(
        self,
        images: Images,
        prompt: str | None = None,
        *,
        batch_size: int = DEFAULT_BATCH_SIZE,
        show_progress: bool = False,
        return_details: bool = False,
        return_scores: bool = False,
        min_confidence: float | None = None,
        stream: bool = False,
        **options: Any,
    ) -> Any:
        """Describe an image, or each of several.

        A checkpoint for question answering captions too: its decoder then attends to the image itself. A caption that
        is longer than ``max_new_tokens`` ends there, without a sign of it (see ``return_details``).

        Args:
            images: one image (the result is one text) or a sequence of them (a list of texts, in order).
            prompt: text that every caption continues; it is part of the result.
            batch_size: images that are decoded together.
            show_progress: show a progress bar on standard error.
            return_details: return `Generated` in place of each text: it has the text's tokens too, says whether
                ``max_new_tokens`` cut the text off, and has the scores.
            return_scores: return `Generated` too: it has the log-probability of each token and of the text, and the
                probability that the text is right.
            min_confidence: texts that are less likely right are blank; `Generated` marks them as ``withheld``.
            stream: give the one text in pieces, as it is generated: an iterator, to be taken to its end or closed.
                Put together they are the text; with beams there is one piece.
            **options: `GenerationOptions`.

        Raises:
            ImageError: an image cannot be read.
            InputError: the prompt or an option is not allowed.
        """
        request = self.components.request(prompt, batch_size, show_progress, options)
        form = self.components.form("captions", request, return_details, return_scores, min_confidence)
        several, sources = listed_images(images)
        if flag("stream", stream):
            form.check_pieces(several)
            return self.components.runner.caption_pieces(sources[0], request, form.text)
        return form.results(self.components.runner.caption(sources, request), several)

    def caption_ids(
        self,
        images: Images,
        prompt: str | None = None,
        *,
        batch_size: int = DEFAULT_BATCH_SIZE,
        show_progress: bool = False,
        **options: Any,
    ) -> list[list[int]]:
        """As `caption`, but token ids: a list an image, with the prompt and without the closing token."""
        request = self.components.request(prompt, batch_size, show_progress, options)
        rows = self.components.runner.caption(listed_images(images)[1], request)
        return [list(row.token_ids) for row in rows]

    def caption_stream(
        self,
        images: Iterable[Image],
        prompt: str | None = None,
        *,
        batch_size: int = DEFAULT_BATCH_SIZE,
        return_details: bool = False,
        return_scores: bool = False,
        min_confidence: float | None = None,
        **options: Any,
    ) -> Iterator[Any]:
        """Captions of any number of images, one by one and in order, as they are ready.

        While a batch is decoded, the next one is looked at, and the images of the one after are read and resized:
        no more than three batches are held at any time. An image that cannot be read raises when its turn comes.

        Args:
            images: images in any form; an iterator is read no further ahead than needed.
            prompt: text that every caption continues; it is part of the result.
            batch_size: images that are decoded together.
            return_details: yield `Generated` instead of texts.
            return_scores: likewise; a `Generated` has both.
            min_confidence: texts that are less likely right are blank.
            **options: `GenerationOptions`. With ``seed``, every caption is drawn as `caption` draws it.

        Raises:
            ImageError: an image cannot be read.
            InputError: the prompt or an option is not allowed.
        """
        request = self.components.request(prompt, batch_size, False, options)
        form = self.components.form("captions", request, return_details, return_scores, min_confidence)
        return form.stream(self.components.runner.caption_stream(streamed_images(images), request))

    @overload
    def answer(self, images: Image, questions: str, *, return_details: Literal[True], **options: Any) -> Generated: ...

    @overload
    def answer(
        self, images: Images, questions: Sequence[str], *, return_details: Literal[True], **options: Any
    ) -> list[Generated]: ...

    @overload
    def answer(self, images: Image, questions: str, *, return_scores: Literal[True], **options: Any) -> Generated: ...

    @overload
    def answer(
        self, images: Images, questions: Sequence[str], *, return_scores: Literal[True], **options: Any
    ) -> list[Generated]: ...

    @overload
    def answer(self, images: Image, questions: str, *, stream: Literal[True], **options: Any) -> Iterator[str]: ...

    @overload
    def answer(
        self,
        images: Image,
        questions: str,
        *,
        return_details: Literal[False] = False,
        return_scores: Literal[False] = False,
        **options: Any,
    ) -> str: ...

    @overload
    def answer(
        self,
        images: Images,
        questions: str | Sequence[str],
        *,
        return_details: Literal[False] = False,
        return_scores: Literal[False] = False,
        **options: Any,
    ) -> str | list[str]: ...

    def answer(
        self,
        images: Images,
        questions: str | Sequence[str],
        *,
        batch_size: int = DEFAULT_BATCH_SIZE,
        show_progress: bool = False,
        return_details: bool = False,
        return_scores: bool = False,
        min_confidence: float | None = None,
        stream: bool = False,
        **options: Any,
    ) -> Any:
        """Answer questions about images.

        Args:
            images: one image or a sequence.
            questions: one question, asked of every image; or a sequence: all about the one image, or one an image.
            batch_size: questions that are decoded together. An answer never depends on its batch.
            show_progress: show a progress bar on standard error.
            return_details: return `Generated` in place of each text: it has the text's tokens too, says whether
                ``max_new_tokens`` cut the text off, and has the scores.
            return_scores: return `Generated` too: it has the log-probability of each token and of the text, and the
                probability that the text is right.
            min_confidence: texts that are less likely right are blank; `Generated` marks them as ``withheld``.
            stream: give the one answer in pieces, as `caption` does.
            **options: `GenerationOptions`.

        Returns:
            One answer where image and question are one, else a list in order. An image that several questions
            follow one another about (the same object) is encoded once.

        Raises:
            ImageError: an image cannot be read.
            InputError: a question or an option is not allowed, the numbers of images and questions differ, or the
                checkpoint does not answer questions.
        """
        request = self.components.request(None, batch_size, show_progress, options)
        form = self.components.form("answers", request, return_details, return_scores, min_confidence)
        pairs = self.components.pairs(images, questions)
        if flag("stream", stream):
            form.check_pieces(pairs.several)
            return self.components.runner.answer_pieces(pairs.images[0], pairs.tokens[0], request, form.text)
        return form.results(self.components.runner.answer(pairs, request), pairs.several)

    def answer_stream(
        self,
        pairs: Iterable[tuple[Image, str]],
        *,
        batch_size: int = DEFAULT_BATCH_SIZE,
        return_details: bool = False,
        return_scores: bool = False,
        min_confidence: float | None = None,
        **options: Any,
    ) -> Iterator[Any]:
        """Answers to any number of questions, one by one and in order, as they are ready.

        Args:
            pairs: each an image in any form and a question about it; an iterator is read no further ahead than needed.
                An image that several questions follow one another about (the same object) is looked at once.
            batch_size: questions that are decoded together; three times as many are held.
            return_details: yield `Generated` instead of texts.
            return_scores: likewise; a `Generated` has both.
            min_confidence: texts that are less likely right are blank.
            **options: `GenerationOptions`. With ``seed``, every answer is drawn as `answer` draws it.

        Raises:
            ImageError: an image cannot be read; raised when its turn comes, as what is wrong with a question.
            InputError: an option is not allowed, or the checkpoint does not answer questions.
        """
        request = self.components.request(None, batch_size, False, options)
        form = self.components.form("answers", request, return_details, return_scores, min_confidence)
        return form.stream(self.components.runner.answer_stream(self.components.paired(pairs), request))

    def answer_ids(
        self,
        images: Images,
        questions: str | Sequence[str],
        *,
        batch_size: int = DEFAULT_BATCH_SIZE,
        show_progress: bool = False,
        **options: Any,
    ) -> list[list[int]]:
        """As `answer`, but token ids: a list a question, with the start token and without the closing one."""
        request = self.components.request(None, batch_size, show_progress, options)
        rows = self.components.runner.answer(self.components.pairs(images, questions), request)
        return [list(row.token_ids) for row in rows]

    @overload
    def rank(  # type: ignore[overload-overlap]  # str is a Sequence, too
        self,
        images: Image,
        questions: str,
        answers: Sequence[str] | AnswerList,
        *,
        top_k: int | None = ...,
        batch_size: int = ...,
        show_progress: bool = ...,
    ) -> Ranking: ...

    @overload
    def rank(
        self,
        images: Images,
        questions: str | Sequence[str],
        answers: Sequence[str] | AnswerList,
        *,
        top_k: int | None = ...,
        batch_size: int = ...,
        show_progress: bool = ...,
    ) -> list[Ranking]: ...

    def rank(
        self,
        images: Images,
        questions: str | Sequence[str],
        answers: Sequence[str] | AnswerList,
        *,
        top_k: int | None = DEFAULT_TOP_K,
        batch_size: int = DEFAULT_BATCH_SIZE,
        show_progress: bool = False,
    ) -> Ranking | list[Ranking]:
        """Rank given answers to questions about images by their likelihood; see `blipvino.runtime.decoding.ranking`.

        Args:
            images: one image or a sequence.
            questions: as `answer` takes them.
            answers: to choose from; an `AnswerList` where many calls choose from the same.
            top_k: rank those answers alone whose first token is among the likeliest so many; None ranks all.
            batch_size: questions that are encoded together. A ranking never depends on its batch.
            show_progress: show a progress bar on standard error.

        Returns:
            One ranking where image and question are one, else a list in order.

        Raises:
            ImageError: an image cannot be read.
            InputError: as `answer`; or an answer or ``top_k`` is not allowed.
        """
        size = integer("batch_size", batch_size, 1)
        kept = None if top_k is None else integer("top_k", top_k, 1)
        listed = answers if isinstance(answers, AnswerList) else AnswerList(answers, self.texts)
        pairs, reporter = self.components.pairs(images, questions), Reporter(flag("show_progress", show_progress))
        ranked = self.components.runner.rank(pairs, self.texts.prompt(None), listed, kept, size, reporter)
        rankings = [Confidence.of_bundle(self.bundle, "answers").of_ranking(ranking) for ranking in ranked]
        return rankings if pairs.several else rankings[0]

    @classmethod
    def _check_kind(cls, architecture: str, place: str | Path) -> None:
        if retrieves(architecture):
            raise InputError(
                f"{place}: this model finds and matches images and texts, and generates none: load it with "
                f"BlipRetriever.load(); captions and answers need a checkpoint such as {FOR_ANSWERS}"
            )
