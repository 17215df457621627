"""`Blip`: captions of images and answers to questions about them, from a bundle."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, overload

import numpy as np
import numpy.typing as npt

from blipvino.bundle import Bundle, open_bundle
from blipvino.config import BlipConfig, parse_config, parse_preprocessor
from blipvino.errors import InputError
from blipvino.graphs import graph_names
from blipvino.progress import Reporter
from blipvino.runtime.engine import CrossKV, Engine, EngineOptions
from blipvino.runtime.generation import GenerationOptions, generate, row_generators
from blipvino.runtime.images import ImageProcessor, ImageSource
from blipvino.runtime.tokens import TextProcessor

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
Images = ImageSource | Sequence[ImageSource]

DEFAULT_BATCH_SIZE = 8


class Blip:
    """A BLIP model, loaded from a bundle. Its methods may be called from several threads; they take turns.

    Generation options are keyword arguments with the names and defaults of `GenerationOptions`.
    """

    def __init__(self, bundle: Bundle, config: BlipConfig, options: EngineOptions) -> None:
        self.bundle = bundle
        self.config = config
        preprocessor = json.loads(bundle.path("preprocessor_config.json").read_text(encoding="utf-8"))
        self.images = ImageProcessor(parse_preprocessor(preprocessor, config.vision.image_size, str(bundle.folder)))
        self.texts = TextProcessor.from_file(bundle.path("tokenizer.json"), config.text)
        paths = {name: bundle.path(f"{name}.xml") for name in graph_names(config.architecture)}
        self.engine = Engine(paths, config, options)
        self._turn = threading.Lock()

    @classmethod
    def load(cls, bundle: str | Path | Bundle, *, options: EngineOptions | None = None, verify: bool = True) -> Self:
        """Load a bundle that `optimize` wrote.

        Args:
            bundle: its folder, or the bundle opened already.
            options: how its graphs are compiled.
            verify: check every file's SHA-256 against the manifest first.

        Raises:
            BundleError: the folder is no bundle, is damaged, or was written by a newer version.
        """
        opened = bundle if isinstance(bundle, Bundle) else open_bundle(Path(bundle), verify=verify)
        content = json.loads(opened.path("config.json").read_text(encoding="utf-8"))
        return cls(opened, parse_config(content, str(opened.folder)), options or EngineOptions())

    @overload
    def caption(self, images: ImageSource, prompt: str | None = None, **options: Any) -> str: ...

    @overload
    def caption(self, images: Sequence[ImageSource], prompt: str | None = None, **options: Any) -> list[str]: ...

    def caption(
        self,
        images: Images,
        prompt: str | None = None,
        *,
        batch_size: int = DEFAULT_BATCH_SIZE,
        show_progress: bool = False,
        **options: Any,
    ) -> str | list[str]:
        """Describe an image, or each of several.

        A checkpoint for question answering captions too: its decoder then attends to the image itself.

        Args:
            images: one image (the result is one text) or a sequence of them (a list of texts, in order).
            prompt: text that every caption continues; it is part of the result.
            batch_size: images that are decoded together.
            show_progress: show a progress bar on standard error.
            **options: `GenerationOptions`.

        Raises:
            ImageError: an image cannot be read.
            InputError: the prompt or an option is not allowed.
        """
        chosen = _options(options, batch_size)
        several, sources = _listed(images)
        start = self.texts.prompt(prompt)
        self._check_length(len(start), chosen)
        with self._turn:
            texts: list[str] = []
            draws = row_generators(len(sources), chosen.seed)
            for batch in _batches(len(sources), batch_size, "Captioning", show_progress):
                embeds = self.engine.image_embeds(self.images.pixels(sources[batch]))
                mask = np.ones(embeds.shape[:2], np.int64)
                texts += self._decode(self.engine.answer_kv(embeds), mask, start, draws[batch], chosen)
        return texts if several else texts[0]

    @overload
    def answer(self, images: ImageSource, questions: str, **options: Any) -> str: ...

    @overload
    def answer(self, images: Images, questions: str | Sequence[str], **options: Any) -> str | list[str]: ...

    def answer(
        self,
        images: Images,
        questions: str | Sequence[str],
        *,
        batch_size: int = DEFAULT_BATCH_SIZE,
        show_progress: bool = False,
        **options: Any,
    ) -> str | list[str]:
        """Answer questions about images.

        Args:
            images: one image or a sequence.
            questions: one question, asked of every image; or a sequence: all about the one image, or one an image.
            batch_size: questions that are decoded together. An answer never depends on its batch.
            show_progress: show a progress bar on standard error.
            **options: `GenerationOptions`.

        Returns:
            One answer where image and question are one, else a list in order. An image that several questions
            follow one another about (the same object) is encoded once.

        Raises:
            ImageError: an image cannot be read.
            InputError: a question or an option is not allowed, the numbers of images and questions differ, or the
                checkpoint does not answer questions.
        """
        if not self.config.answers_questions:
            raise InputError(
                f"{self.bundle.folder}: this bundle captions only; answers need a checkpoint such as blip-vqa"
            )
        chosen = _options(options, batch_size)
        several_images, sources = _listed(images)
        several_questions = not isinstance(questions, str)
        if not isinstance(questions, Iterable):
            raise InputError(f"questions must be text or a sequence of texts, found {type(questions).__name__}")
        asked = [questions] * len(sources) if isinstance(questions, str) else list(questions)
        if not several_images:
            sources = sources * len(asked)
        if len(sources) != len(asked):
            raise InputError(f"{len(sources)} images but {len(asked)} questions; give one question each, or just one")
        self._check_length(1, chosen)
        if asked:
            self.texts.questions(asked)  # refuse any bad question before working on the first
        with self._turn:
            answers: list[str] = []
            embeds: dict[int, FloatArray] = {}
            draws = row_generators(len(asked), chosen.seed)
            for batch in _batches(len(asked), batch_size, "Answering", show_progress):
                embeds = self._embed(sources[batch], embeds)
                source, mask = self._encode_questions(sources[batch], asked[batch], embeds)
                answers += self._decode(source, mask, self.texts.prompt(None), draws[batch], chosen)
        return answers if several_images or several_questions else answers[0]

    def _embed(self, sources: list[ImageSource], known: Mapping[int, FloatArray]) -> dict[int, FloatArray]:
        """Embeddings of a batch's images by identity; those that the batch before had are not made again."""
        new = {id(source): source for source in sources if id(source) not in known}
        made = self.engine.image_embeds(self.images.pixels(list(new.values()))) if new else ()
        embeds = {**known, **dict(zip(new, made, strict=True))}
        return {id(source): embeds[id(source)] for source in sources}

    def _encode_questions(
        self, sources: list[ImageSource], asked: list[str], embeds: Mapping[int, FloatArray]
    ) -> tuple[CrossKV, IntArray]:
        """What the decoder attends to when it answers, and its mask: each image with its own questions at a time."""
        tokens = self.texts.questions(asked)
        states = np.empty((*tokens.input_ids.shape, self.config.text.hidden_size), np.float32)
        for key, image in embeds.items():
            rows = [row for row, source in enumerate(sources) if id(source) == key]
            projected = self.engine.question_kv(image[None])
            states[rows] = self.engine.question_states(tokens.input_ids[rows], tokens.attention_mask[rows], projected)
        return self.engine.answer_kv(states), tokens.attention_mask

    def _decode(
        self,
        source: CrossKV,
        source_mask: IntArray,
        prompt: list[int],
        draws: Sequence[np.random.Generator],
        options: GenerationOptions,
    ) -> list[str]:
        step = self.engine.decoder(source, source_mask)
        rows = generate(step, prompt, draws, self.config.text.sep_token_id, options)
        return [self.texts.decode(row) for row in rows]

    def _check_length(self, prompt_tokens: int, options: GenerationOptions) -> None:
        limit = self.config.text.max_position_embeddings
        if prompt_tokens + options.max_new_tokens > limit:
            raise InputError(
                f"{prompt_tokens} prompt tokens and max_new_tokens {options.max_new_tokens} exceed the {limit} "
                "positions of this model; shorten the prompt or lower max_new_tokens"
            )


def _batches(count: int, size: int, description: str, show_progress: bool) -> Iterator[slice]:
    slices = [slice(first, first + size) for first in range(0, count, size)]
    yield from Reporter(show_progress).track(slices, description, len(slices))


def _options(given: dict[str, Any], batch_size: int) -> GenerationOptions:
    if not isinstance(batch_size, int) or batch_size < 1:
        raise InputError(f"batch_size is {batch_size!r}, expected at least 1")
    unknown = sorted(set(given) - set(GenerationOptions.__dataclass_fields__))
    if unknown:
        known = ", ".join(GenerationOptions.__dataclass_fields__)
        raise InputError(f"unknown option {unknown[0]!r}; expected one of {known}")
    return GenerationOptions(**given)


def _listed(images: Images) -> tuple[bool, list[ImageSource]]:
    """Whether there are several images, and the images as a list."""
    if isinstance(images, list | tuple):
        return True, list(images)
    return False, [images]  # type: ignore[list-item]  # anything else is one image; load_image refuses the rest
