"""What a bundle is run with: processors, engine, features and limits, each of which can be exchanged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from blipvino.bundle.bundle import Bundle
from blipvino.checkpoint.architectures import FOR_ANSWERS
from blipvino.checkpoint.config import BlipConfig
from blipvino.checkpoint.text_length import TextLength
from blipvino.errors import InputError
from blipvino.graphs.specs import graph_names
from blipvino.machine.cores import usable_cores
from blipvino.machine.memory import memory_limit
from blipvino.runtime.batches import BatchRunner, TextRequest
from blipvino.runtime.compiling.bundled import graph_files_of, selftest_of
from blipvino.runtime.compiling.engine_options import EngineOptions
from blipvino.runtime.engine import Engine
from blipvino.runtime.features import FeatureCache, FeatureExtractor
from blipvino.runtime.inputs.images import ImageProcessor
from blipvino.runtime.inputs.texts import TextProcessor
from blipvino.runtime.limits import Limits
from blipvino.runtime.pairing import Image, Images, QuestionPairs, TokenizedPairs, pair_questions
from blipvino.runtime.question_reader import QuestionReader
from blipvino.runtime.reading import read_config, read_preprocessor, read_text_length
from blipvino.runtime.results import Confidence, Kind, ResultForm
from blipvino.runtime.retrieval_runner import RetrievalRunner
from blipvino.runtime.scheduling.decoding import JobDecoder
from blipvino.runtime.scheduling.encoding import JobEncoder
from blipvino.runtime.scheduling.scheduler import Scheduler
from blipvino.runtime.scheduling.turns import Turns
from blipvino.runtime.scheduling.watching import Watch


@dataclass(frozen=True, eq=False)
class Components:
    """The parts of a model that runs. ``dataclasses.replace`` exchanges some; what is built on them follows.

    Attributes:
        bundle: that they are of.
        config: its model.
        texts: the tokenizer.
        extractor: images to features; it brings the image processor and the engine.
        limits: of what is taken.
        length: of texts, where nobody says.
        longest_queue: texts that may wait to be generated; None is any number.
        watch: is told what is done of them.
    """

    bundle: Bundle
    config: BlipConfig
    texts: TextProcessor
    extractor: FeatureExtractor
    limits: Limits
    length: TextLength
    longest_queue: int | None = None
    watch: Watch | None = None

    @property
    def images(self) -> ImageProcessor:
        """The image processor."""
        return self.extractor.images

    @property
    def engine(self) -> Engine:
        """The compiled graphs."""
        return self.extractor.engine

    @cached_property
    def turns(self) -> Turns:
        """In which the threads of all calls work."""
        return Turns.of_cores(self.engine.options.threads or usable_cores())

    @cached_property
    def questions(self) -> QuestionReader:
        """Questions of one batch to rankings of given answers."""
        return QuestionReader(self.extractor, self.turns)

    @cached_property
    def scheduler(self) -> Scheduler:
        """Generates the texts of all calls side by side."""
        encoder = JobEncoder(self.extractor, self.texts, window=self.engine.images_at_once)
        decoder = JobDecoder(self.engine, self.config.text.sep_token_id)
        return Scheduler(encoder, decoder, longest=self.longest_queue, watch=self.watch, turns=self.turns)

    @cached_property
    def runner(self) -> BatchRunner:
        """Images and questions of any number to texts."""
        positions = self.config.vision.num_positions
        return BatchRunner(self.extractor, self.questions, self.scheduler, self.texts, self.limits, positions)

    @cached_property
    def retrieval(self) -> RetrievalRunner:
        """Images and texts of any number to embeddings and matches, batch after batch."""
        return RetrievalRunner(self.extractor, self.runner, self.texts, self.limits, self.config)

    def request(
        self, prompt: str | None, batch_size: int, show_progress: bool, options: Mapping[str, Any]
    ) -> TextRequest:
        """How texts are to be generated, of what callers give; without ``max_new_tokens`` as long as the checkpoint's.

        Raises:
            InputError: the prompt, the size or an option is not allowed.
        """
        tokens = self.texts.prompt(prompt)
        length = self.length.new_tokens(len(tokens), self.config.text.max_position_embeddings)
        return TextRequest.checked(tokens, batch_size, show_progress, {"max_new_tokens": length, **options})

    def form(
        self, kind: Kind, request: TextRequest, details: object, scores: object, min_confidence: object
    ) -> ResultForm:
        """In which form a call returns its texts, of what callers give.

        Raises:
            InputError: an argument is of another type or out of its range.
        """
        # What was fitted is of the likeliest texts: it says nothing of those that are drawn.
        confidence = Confidence(None) if request.options.do_sample else Confidence.of_bundle(self.bundle, kind)
        return ResultForm.checked(self.texts, confidence, details, scores, min_confidence)

    def pairs(self, images: Images, questions: str | Sequence[str]) -> QuestionPairs:
        """Questions, each with its image.

        Raises:
            InputError: they do not go together, or the checkpoint answers none.
        """
        self._check_answers()
        return pair_questions(images, questions, self.texts)

    def paired(self, pairs: Iterable[tuple[Image, str]]) -> TokenizedPairs:
        """Images and questions as tokens, as they are asked for.

        Raises:
            InputError: the checkpoint answers no questions.
        """
        self._check_answers()
        return TokenizedPairs(iter(pairs), self.texts)

    def _check_answers(self) -> None:
        if not self.config.answers_questions:
            raise InputError(
                f"{self.bundle.folder}: this model captions only; answers need a checkpoint such as {FOR_ANSWERS}"
            )


def load_components(bundle: Bundle, options: EngineOptions, image_cache_bytes: int, verify: bool) -> Components:
    """Read a bundle and verify it, as `Blip.load` describes; graphs are compiled when they are first needed.

    Raises:
        BundleError: it is damaged.
    """
    if verify and options.cache is None:
        bundle.verify()
    elif verify:
        bundle.verify(name for name in bundle.manifest.files if not name.endswith((".xml", ".bin")))
    config = read_config(bundle)
    images = ImageProcessor(read_preprocessor(bundle, config))
    texts = TextProcessor.from_file(bundle.path("tokenizer.json"), config.text)
    graphs = graph_files_of(bundle, graph_names(config.architecture), check=verify and options.cache is not None)
    engine = Engine(graphs, config, options, selftest_of(bundle, config))
    extractor = build_extractor(bundle, config, engine, images, image_cache_bytes)
    return Components(bundle, config, texts, extractor, Limits(config, memory_limit()), read_text_length(bundle))


def build_extractor(
    bundle: Bundle, config: BlipConfig, engine: Engine, images: ImageProcessor, image_cache_bytes: int
) -> FeatureExtractor:
    """A bundle's feature extractor, with an empty cache of so many bytes."""
    shape = config.vision.num_positions, config.vision.hidden_size
    return FeatureExtractor(engine, images, bundle.fingerprint, FeatureCache(image_cache_bytes), shape)
