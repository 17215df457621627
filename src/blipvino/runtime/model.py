"""`Blip`: captions of images and answers to questions about them, from a bundle."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self, overload

import numpy as np
import numpy.typing as npt

from blipvino.bundle import Bundle, graph_files, open_bundle
from blipvino.config import BlipConfig, parse_config, parse_preprocessor
from blipvino.errors import InputError
from blipvino.graphs import graph_names
from blipvino.progress import Reporter
from blipvino.runtime.compilation import EngineOptions, GraphFile
from blipvino.runtime.engine import Engine
from blipvino.runtime.features import DEFAULT_CACHE_BYTES, FeatureExtractor, ImageFeatures
from blipvino.runtime.generation import Generated, GeneratedTokens, GenerationOptions, generate, row_generators
from blipvino.runtime.images import ImageProcessor, ImageSource
from blipvino.runtime.ranking import DEFAULT_TOP_K, AnswerList, Ranking, rank
from blipvino.runtime.stream import looked_ahead
from blipvino.runtime.tokens import TextProcessor, TokenBatch

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
Image = ImageSource | ImageFeatures
Images = Image | Sequence[Image]

DEFAULT_BATCH_SIZE = 8


class Blip:
    """A BLIP model, loaded from a bundle. Its methods may be called from several threads; they take turns.

    Generation options are keyword arguments with the names and defaults of `GenerationOptions`.
    """

    def __init__(
        self,
        bundle: Bundle,
        config: BlipConfig,
        options: EngineOptions,
        image_cache_bytes: int = DEFAULT_CACHE_BYTES,
        check_graphs: bool = False,
    ) -> None:
        self.bundle = bundle
        self.config = config
        preprocessor = json.loads(bundle.path("preprocessor_config.json").read_text(encoding="utf-8"))
        self.images = ImageProcessor(parse_preprocessor(preprocessor, config.vision.image_size, str(bundle.folder)))
        self.texts = TextProcessor.from_file(bundle.path("tokenizer.json"), config.text)
        names = graph_names(config.architecture)
        self.engine = Engine({name: _graph_file(bundle, name, check_graphs) for name in names}, config, options)
        self.extractor = FeatureExtractor(self.engine, self.images, bundle.fingerprint, image_cache_bytes)
        self._turn = threading.Lock()

    @classmethod
    def load(
        cls,
        bundle: str | Path | Bundle,
        *,
        options: EngineOptions | None = None,
        image_cache_bytes: int = DEFAULT_CACHE_BYTES,
        verify: bool = True,
    ) -> Self:
        """Load a bundle that `optimize` wrote.

        Args:
            bundle: its folder, or the bundle opened (and so verified) already.
            options: how its graphs are compiled.
            image_cache_bytes: memory for what is known of images that were shown before; an image of BLIP-base takes
                1.8 MB, and 11 MB more (8-bit recipes; 43 MB with "none") once questions were asked. 0 keeps nothing.
            verify: check the SHA-256 of every file that is read against the manifest: of all files now, but with
                ``options.cache`` of a graph's files when it is compiled; one compiled before is not read.

        Raises:
            BundleError: the folder is no bundle, is damaged, or was written by another version of the format.
        """
        chosen = options or EngineOptions()
        verify = verify and not isinstance(bundle, Bundle)
        opened = bundle if isinstance(bundle, Bundle) else open_bundle(Path(bundle), verify=False)
        if verify and chosen.cache is None:
            opened.verify()
        elif verify:
            opened.verify(name for name in opened.manifest.files if not name.endswith((".xml", ".bin")))
        content = json.loads(opened.path("config.json").read_text(encoding="utf-8"))
        config = parse_config(content, str(opened.folder))
        return cls(opened, config, chosen, image_cache_bytes, check_graphs=verify and chosen.cache is not None)

    @overload
    def features(self, images: Image) -> ImageFeatures: ...  # type: ignore[overload-overlap]  # str is a Sequence, too

    @overload
    def features(self, images: Sequence[Image]) -> list[ImageFeatures]: ...

    def features(self, images: Images) -> ImageFeatures | list[ImageFeatures]:
        """What the model sees in an image, or in each of several; to be given instead of the image.

        Texts about it then cost the text alone, however many come between.

        Raises:
            ImageError: an image cannot be read.
        """
        several, sources = _listed(images)
        features = self.extractor.extract(sources)
        return features if several else features[0]

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
        self, images: Image, prompt: str | None = None, *, return_details: Literal[False] = False, **options: Any
    ) -> str: ...

    @overload
    def caption(
        self,
        images: Sequence[Image],
        prompt: str | None = None,
        *,
        return_details: Literal[False] = False,
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
        **options: Any,
    ) -> Any:
        """Describe an image, or each of several.

        A checkpoint for question answering captions too: its decoder then attends to the image itself.

        Args:
            images: one image (the result is one text) or a sequence of them (a list of texts, in order).
            prompt: text that every caption continues; it is part of the result.
            batch_size: images that are decoded together.
            show_progress: show a progress bar on standard error.
            return_details: return `Generated` in place of each text: it has the text's tokens too, and says whether
                ``max_new_tokens`` cut the text off.
            **options: `GenerationOptions`.

        Raises:
            ImageError: an image cannot be read.
            InputError: the prompt or an option is not allowed.
        """
        rows = self._captions(images, prompt, batch_size, show_progress, options)
        return self._results(rows, return_details, several=_listed(images)[0])

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
        rows = self._captions(images, prompt, batch_size, show_progress, options)
        return [list(row.token_ids) for row in rows]

    def caption_stream(
        self,
        images: Iterable[Image],
        prompt: str | None = None,
        *,
        batch_size: int = DEFAULT_BATCH_SIZE,
        **options: Any,
    ) -> Iterator[str]:
        """Captions of any number of images, one by one and in order, as they are ready.

        While a batch is decoded, the next one is looked at, and the images of the one after are read and resized:
        no more than three batches are held at any time. An image that cannot be read raises when its turn comes.

        Args:
            images: images in any form; an iterator is read no further ahead than needed.
            prompt: text that every caption continues; it is part of the result.
            batch_size: images that are decoded together.
            **options: `GenerationOptions`. With ``seed``, every caption is drawn as `caption` draws it.

        Raises:
            ImageError: an image cannot be read.
            InputError: the prompt or an option is not allowed.
        """
        chosen, start = self._prepared(prompt, batch_size, options)
        one = isinstance(images, str | bytes) or (isinstance(images, np.ndarray) and images.ndim < 4)
        if one or not isinstance(images, Iterable):
            raise InputError(f"images must be an iterable of images, found one {type(images).__name__}; use caption()")
        return self._stream(iter(images), start, batch_size, chosen)

    def feature_stream(
        self, images: Iterable[Image], *, batch_size: int = DEFAULT_BATCH_SIZE
    ) -> Iterator[list[ImageFeatures]]:
        """Features of any number of images, a batch at a time and in order, prepared ahead as `caption_stream` does.

        Raises:
            ImageError: an image cannot be read; raised when its turn comes.
            InputError: ``batch_size`` is not allowed.
        """
        _check_batch_size(batch_size)
        return looked_ahead(iter(images), batch_size, self.images, self.extractor)

    def _stream(
        self, images: Iterator[Image], start: list[int], batch_size: int, options: GenerationOptions
    ) -> Iterator[str]:
        seeds = np.random.SeedSequence(options.seed)
        self._prepare(self.config.vision.num_positions, batch_size, options)
        for features in self.feature_stream(images, batch_size=batch_size):
            draws = [np.random.default_rng(child) for child in seeds.spawn(len(features))]
            for row in self._caption(features, start, draws, options):
                yield self.texts.decode(row.token_ids)

    def _captions(
        self, images: Images, prompt: str | None, batch_size: int, show_progress: bool, options: dict[str, Any]
    ) -> list[GeneratedTokens]:
        """The tokens of each image's caption."""
        chosen, start = self._prepared(prompt, batch_size, options)
        sources = _listed(images)[1]
        self._prepare(self.config.vision.num_positions, len(sources[:batch_size]), chosen)
        rows: list[GeneratedTokens] = []
        draws = row_generators(len(sources), chosen.seed)
        for batch in _batches(len(sources), batch_size, "Captioning", show_progress):
            rows += self._caption(self.extractor.extract(sources[batch]), start, draws[batch], chosen)
        return rows

    def _caption(
        self,
        features: Sequence[ImageFeatures],
        start: list[int],
        draws: Sequence[np.random.Generator],
        options: GenerationOptions,
    ) -> list[GeneratedTokens]:
        embeds = np.stack([image.image_embeds for image in features])
        with self._turn:
            return self._decode(embeds, np.ones(embeds.shape[:2], np.int64), start, draws, options)

    @overload
    def answer(self, images: Image, questions: str, *, return_details: Literal[True], **options: Any) -> Generated: ...

    @overload
    def answer(
        self, images: Images, questions: Sequence[str], *, return_details: Literal[True], **options: Any
    ) -> list[Generated]: ...

    @overload
    def answer(
        self, images: Image, questions: str, *, return_details: Literal[False] = False, **options: Any
    ) -> str: ...

    @overload
    def answer(
        self, images: Images, questions: str | Sequence[str], *, return_details: Literal[False] = False, **options: Any
    ) -> str | list[str]: ...

    def answer(
        self,
        images: Images,
        questions: str | Sequence[str],
        *,
        batch_size: int = DEFAULT_BATCH_SIZE,
        show_progress: bool = False,
        return_details: bool = False,
        **options: Any,
    ) -> Any:
        """Answer questions about images.

        Args:
            images: one image or a sequence.
            questions: one question, asked of every image; or a sequence: all about the one image, or one an image.
            batch_size: questions that are decoded together. An answer never depends on its batch.
            show_progress: show a progress bar on standard error.
            return_details: return `Generated` in place of each text: it has the text's tokens too, and says whether
                ``max_new_tokens`` cut the text off.
            **options: `GenerationOptions`.

        Returns:
            One answer where image and question are one, else a list in order. An image that several questions
            follow one another about (the same object) is encoded once.

        Raises:
            ImageError: an image cannot be read.
            InputError: a question or an option is not allowed, the numbers of images and questions differ, or the
                checkpoint does not answer questions.
        """
        rows = self._answers(images, questions, batch_size, show_progress, options)
        return self._results(rows, return_details, several=_listed(images)[0] or not isinstance(questions, str))

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
        rows = self._answers(images, questions, batch_size, show_progress, options)
        return [list(row.token_ids) for row in rows]

    def _answers(
        self,
        images: Images,
        questions: str | Sequence[str],
        batch_size: int,
        show_progress: bool,
        options: dict[str, Any],
    ) -> list[GeneratedTokens]:
        """The tokens of each question's answer."""
        sources, tokens = self._asked(images, questions)
        chosen, start = self._prepared(None, batch_size, options)
        first = tokens[:batch_size]
        self._prepare(max(map(len, first), default=0), len(first), chosen)
        rows: list[GeneratedTokens] = []
        draws = row_generators(len(tokens), chosen.seed)
        for batch, features in self._seen(sources, _batches(len(tokens), batch_size, "Answering", show_progress)):
            with self._turn:
                states, mask = self._question_states(features, self.texts.batch(tokens[batch]))
                rows += self._decode(states, mask, start, draws[batch], chosen)
        return rows

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
        """Rank given answers to questions about images by their likelihood; see `blipvino.runtime.ranking`.

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
        sources, tokens = self._asked(images, questions)
        _check_batch_size(batch_size)
        if top_k is not None and (not isinstance(top_k, int) or top_k < 1):
            raise InputError(f"top_k is {top_k!r}, expected at least 1, or None for all answers")
        listed = answers if isinstance(answers, AnswerList) else AnswerList(answers, self.texts)
        start = self.texts.prompt(None)
        rankings: list[Ranking] = []
        for batch, features in self._seen(sources, _batches(len(tokens), batch_size, "Ranking", show_progress)):
            with self._turn:
                states, mask = self._question_states(features, self.texts.batch(tokens[batch]))
                rankings += [rank(decoder, start, listed, top_k) for decoder in self.engine.branch(states, mask)]
        return rankings if _listed(images)[0] or not isinstance(questions, str) else rankings[0]

    def _asked(self, images: Images, questions: str | Sequence[str]) -> tuple[list[Image], list[list[int]]]:
        """An image for every question's tokens; any bad question is refused before work on the first begins."""
        if not self.config.answers_questions:
            raise InputError(
                f"{self.bundle.folder}: this bundle captions only; answers need a checkpoint such as blip-vqa"
            )
        sources, asked = _paired(images, questions)
        return sources, [self.texts.question(text) for text in asked]

    def _seen(self, sources: Sequence[Image], batches: Iterable[slice]) -> Iterator[tuple[slice, list[ImageFeatures]]]:
        """Features of batch after batch; an image that several follow one another about is encoded once."""
        known: dict[int, ImageFeatures] = {}
        for batch in batches:
            new = {id(source): source for source in sources[batch] if id(source) not in known}
            found = known | dict(zip(new, self.extractor.extract(list(new.values())), strict=True))
            known = {id(source): found[id(source)] for source in sources[batch]}
            yield batch, [known[id(source)] for source in sources[batch]]

    def _question_states(self, features: Sequence[ImageFeatures], tokens: TokenBatch) -> tuple[FloatArray, IntArray]:
        """States of one question about each image, and their mask; each image with its own questions at a time."""
        states = np.empty((*tokens.input_ids.shape, self.config.text.hidden_size), np.float32)
        try:
            for image in dict.fromkeys(features):
                rows = [row for row, other in enumerate(features) if other is image]
                states[rows] = self.engine.question_states(
                    tokens.input_ids[rows], tokens.attention_mask[rows], image.question_kv(self.engine)
                )
        finally:
            self.extractor.trim()
        return states, tokens.attention_mask

    def _prepare(self, positions: int, texts: int, options: GenerationOptions) -> None:
        """Have the decoder loaded for a first batch of texts over sources of so many positions."""
        if texts:
            with self._turn:
                self.engine.prepare(positions, texts * options.num_beams)

    def _decode(
        self,
        source_states: FloatArray,
        source_mask: IntArray,
        start: list[int],
        draws: Sequence[np.random.Generator],
        options: GenerationOptions,
    ) -> list[GeneratedTokens]:
        step = self.engine.decode(source_states, source_mask)
        return generate(step, start, draws, self.config.text.sep_token_id, options)

    def _results(self, rows: Sequence[GeneratedTokens], details: bool, several: bool) -> Any:
        """What `caption` and `answer` return: texts or `Generated`, a list of them or the one."""
        texts = [self.texts.decode(row.token_ids) for row in rows]
        if not details:
            return texts if several else texts[0]
        made = [Generated(text, row.token_ids, row.finish_reason) for text, row in zip(texts, rows, strict=True)]
        return made if several else made[0]

    def _prepared(
        self, prompt: str | None, batch_size: int, given: dict[str, Any]
    ) -> tuple[GenerationOptions, list[int]]:
        """Checked options, and the tokens that texts start from."""
        options, start = _options(given, batch_size), self.texts.prompt(prompt)
        self._check_length(len(start), options)
        return options, start

    def _check_length(self, prompt_tokens: int, options: GenerationOptions) -> None:
        limit = self.config.text.max_position_embeddings
        if prompt_tokens + options.max_new_tokens > limit:
            raise InputError(
                f"{prompt_tokens} prompt tokens and max_new_tokens {options.max_new_tokens} exceed the {limit} "
                "positions of this model; shorten the prompt or lower max_new_tokens"
            )


def _graph_file(bundle: Bundle, name: str, check: bool) -> GraphFile:
    verify = partial(bundle.verify, graph_files(name)) if check else None
    return GraphFile(bundle.path(f"{name}.xml"), bundle.graph_digest(name), verify)


def _batches(count: int, size: int, description: str, show_progress: bool) -> Iterator[slice]:
    slices = [slice(first, first + size) for first in range(0, count, size)]
    yield from Reporter(show_progress).track(slices, description, len(slices))


def _check_batch_size(batch_size: int) -> None:
    if not isinstance(batch_size, int) or batch_size < 1:
        raise InputError(f"batch_size is {batch_size!r}, expected at least 1")


def _options(given: dict[str, Any], batch_size: int) -> GenerationOptions:
    _check_batch_size(batch_size)
    unknown = sorted(set(given) - set(GenerationOptions.__dataclass_fields__))
    if unknown:
        known = ", ".join(GenerationOptions.__dataclass_fields__)
        raise InputError(f"unknown option {unknown[0]!r}; expected one of {known}")
    return GenerationOptions(**given)


def _paired(images: Images, questions: str | Sequence[str]) -> tuple[list[Image], list[str]]:
    """An image for every question and a question for every image."""
    several, sources = _listed(images)
    if not isinstance(questions, Iterable):
        raise InputError(f"questions must be text or a sequence of texts, found {type(questions).__name__}")
    asked = [questions] * len(sources) if isinstance(questions, str) else list(questions)
    if not several:
        sources = sources * len(asked)
    if len(sources) != len(asked):
        raise InputError(f"{len(sources)} images but {len(asked)} questions; give one question each, or just one")
    return sources, asked


def _listed(images: Images) -> tuple[bool, list[Image]]:
    """Whether there are several images, and the images as a list."""
    if isinstance(images, list | tuple):
        return True, list(images)
    return False, [images]  # type: ignore[list-item]  # anything else is one image; load_image refuses the rest
