"""`Blip`: captions of images and answers to questions about them, from a bundle."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn, Self, overload

import numpy as np

from blipvino.arrays import FloatArray, IntArray
from blipvino.bundle.bundle import Bundle
from blipvino.checkpoint.config import BlipConfig
from blipvino.checks import flag, folder_path, integer, shown
from blipvino.errors import InputError
from blipvino.graphs.specs import graph_names
from blipvino.machine.memory import memory_limit
from blipvino.progress import Reporter
from blipvino.runtime.compiling.bundled import graph_files_of, selftest_of
from blipvino.runtime.compiling.compiler import EngineOptions
from blipvino.runtime.decoding.generation import Generated, GeneratedTokens, GenerationOptions, generate, row_generators
from blipvino.runtime.decoding.ranking import DEFAULT_TOP_K, AnswerList, Ranking, rank
from blipvino.runtime.engine import Engine
from blipvino.runtime.features import DEFAULT_CACHE_BYTES, FeatureExtractor, ImageFeatures
from blipvino.runtime.inputs.images import ImageProcessor
from blipvino.runtime.inputs.limits import Limits
from blipvino.runtime.inputs.pairing import Image, Images, listed_images, paired, streamed_images
from blipvino.runtime.inputs.texts import TextProcessor, TokenBatch
from blipvino.runtime.reading import find_bundle, read_config, read_preprocessor
from blipvino.runtime.stream import AHEAD, looked_ahead

DEFAULT_BATCH_SIZE = 8


class Blip:
    """A BLIP model, loaded from a bundle. Its methods may be called from several threads; they take turns.

    Generation options are keyword arguments with the names and defaults of `GenerationOptions`.

    It holds compiled graphs, so it cannot be pickled or copied deeply: another process loads the bundle itself.
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
        self.images = ImageProcessor(read_preprocessor(bundle, config))
        self.texts = TextProcessor.from_file(bundle.path("tokenizer.json"), config.text)
        names = graph_names(config.architecture)
        self.engine = Engine(graph_files_of(bundle, names, check_graphs), config, options, selftest_of(bundle, config))
        shape = config.vision.num_positions, config.vision.hidden_size
        self.extractor = FeatureExtractor(self.engine, self.images, bundle.fingerprint, image_cache_bytes, shape)
        self._limits = Limits(config, memory_limit())
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
            InputError: an argument is of another type or out of its range.
        """
        if not isinstance(options, EngineOptions | None):
            raise InputError(f"options are {shown(options)}, expected EngineOptions(…)")
        chosen = options or EngineOptions()
        cache_bytes = integer("image_cache_bytes", image_cache_bytes, 0)
        verify = flag("verify", verify) and not isinstance(bundle, Bundle)
        opened = bundle if isinstance(bundle, Bundle) else find_bundle(folder_path("bundle", bundle))
        if verify and chosen.cache is None:
            opened.verify()
        elif verify:
            opened.verify(name for name in opened.manifest.files if not name.endswith((".xml", ".bin")))
        return cls(opened, read_config(opened), chosen, cache_bytes, check_graphs=verify and chosen.cache is not None)

    def __copy__(self) -> Self:
        """Another one with the same graphs, cache and lock."""
        copied = object.__new__(type(self))
        copied.__dict__.update(self.__dict__)
        return copied

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled, which ``copy.deepcopy`` would do too.

        Raises:
            InputError: always; compiled graphs belong to their process.
        """
        raise InputError(
            "a Blip cannot be pickled or copied deeply, since it holds compiled graphs; "
            f"pass on the path of its bundle, {self.bundle.folder}, and load that there with Blip.load()"
        )

    @overload
    def features(self, images: Image) -> ImageFeatures: ...  # type: ignore[overload-overlap]  # str is a Sequence, too

    @overload
    def features(self, images: Sequence[Image]) -> list[ImageFeatures]: ...

    def features(self, images: Images) -> ImageFeatures | list[ImageFeatures]:
        """What the model sees in an image, or in each of several; to be given instead of the image.

        Texts about it then cost the text alone, however many come between.

        Raises:
            ImageError: an image cannot be read.
            InputError: they are more images than memory holds the features of.
        """
        several, sources = listed_images(images)
        self._limits.check_images(len(sources), f"features of {len(sources)} images", "use feature_stream()")
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
        details = flag("return_details", return_details)
        rows = self._captions(images, prompt, batch_size, show_progress, options)
        return self._results(rows, details, several=listed_images(images)[0])

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
        return_details: bool = False,
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
            **options: `GenerationOptions`. With ``seed``, every caption is drawn as `caption` draws it.

        Raises:
            ImageError: an image cannot be read.
            InputError: the prompt or an option is not allowed.
        """
        chosen, start, size = _options(options), self.texts.prompt(prompt), self._stream_batch(batch_size)
        self._limits.check_generation(len(start), size, self.config.vision.num_positions, chosen)
        details = flag("return_details", return_details)
        return self._stream(streamed_images(images), start, size, chosen, details)

    def feature_stream(
        self, images: Iterable[Image], *, batch_size: int = DEFAULT_BATCH_SIZE
    ) -> Iterator[list[ImageFeatures]]:
        """Features of any number of images, a batch at a time and in order, prepared ahead as `caption_stream` does.

        Raises:
            ImageError: an image cannot be read; raised when its turn comes.
            InputError: the images are no sequence or iterator, or ``batch_size`` is not allowed.
        """
        return looked_ahead(streamed_images(images), self._stream_batch(batch_size), self.images, self.extractor)

    def _stream_batch(self, batch_size: int) -> int:
        """The checked size of the batches of a stream, of which several are held at a time."""
        size = integer("batch_size", batch_size, 1)
        self._limits.check_images((AHEAD + 1) * size, f"batch_size {shown(size)}", "lower it")
        return size

    def _stream(
        self, images: Iterator[Image], start: list[int], batch_size: int, options: GenerationOptions, details: bool
    ) -> Iterator[Any]:
        seeds = np.random.SeedSequence(options.seed)
        self._prepare(self.config.vision.num_positions, batch_size, options)
        for features in self.feature_stream(images, batch_size=batch_size):
            draws = [np.random.default_rng(child) for child in seeds.spawn(len(features))]
            yield from self._results(self._caption(features, start, draws, options), details, several=True)

    def _captions(
        self, images: Images, prompt: str | None, batch_size: int, show_progress: bool, options: dict[str, Any]
    ) -> list[GeneratedTokens]:
        """The tokens of each image's caption."""
        chosen, start, size = _options(options), self.texts.prompt(prompt), integer("batch_size", batch_size, 1)
        sources, positions = listed_images(images)[1], self.config.vision.num_positions
        texts = min(size, len(sources))
        self._limits.check_generation(len(start), texts, positions, chosen)
        self._prepare(positions, texts, chosen)
        rows: list[GeneratedTokens] = []
        draws = row_generators(len(sources), chosen.seed)
        for batch in _batches(len(sources), size, "Captioning", show_progress):
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
        details = flag("return_details", return_details)
        rows = self._answers(images, questions, batch_size, show_progress, options)
        return self._results(rows, details, several=listed_images(images)[0] or not isinstance(questions, str))

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
        chosen, start, size = _options(options), self.texts.prompt(None), integer("batch_size", batch_size, 1)
        sources, tokens = self._asked(images, questions)
        first = tokens[:size]
        self._limits.check_generation(len(start), len(first), max(map(len, tokens), default=0), chosen)
        self._prepare(max(map(len, first), default=0), len(first), chosen)
        rows: list[GeneratedTokens] = []
        draws = row_generators(len(tokens), chosen.seed)
        for batch, features in self._seen(sources, _batches(len(tokens), size, "Answering", show_progress)):
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
        sources, tokens = self._asked(images, questions)
        self._limits.check_ranking(tokens, listed, size)
        start = self.texts.prompt(None)
        rankings: list[Ranking] = []
        for batch, features in self._seen(sources, _batches(len(tokens), size, "Ranking", show_progress)):
            with self._turn:
                states, mask = self._question_states(features, self.texts.batch(tokens[batch]))
                rankings += [rank(decoder, start, listed, kept) for decoder in self.engine.branch(states, mask)]
        return rankings if listed_images(images)[0] or not isinstance(questions, str) else rankings[0]

    def _asked(self, images: Images, questions: str | Sequence[str]) -> tuple[list[Image], list[list[int]]]:
        """An image for every question's tokens; any bad question is refused before work on the first begins."""
        if not self.config.answers_questions:
            raise InputError(
                f"{self.bundle.folder}: this bundle captions only; answers need a checkpoint such as blip-vqa"
            )
        sources, asked = paired(images, questions)
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


def _batches(count: int, size: int, description: str, show_progress: bool) -> Iterable[slice]:
    slices = [slice(first, first + size) for first in range(0, count, size)]
    return Reporter(flag("show_progress", show_progress)).track(slices, description, len(slices))


def _options(given: dict[str, Any]) -> GenerationOptions:
    unknown = sorted(set(given) - set(GenerationOptions.__dataclass_fields__))
    if unknown:
        known = ", ".join(GenerationOptions.__dataclass_fields__)
        raise InputError(f"unknown option {unknown[0]!r}; expected one of {known}")
    return GenerationOptions(**given)
