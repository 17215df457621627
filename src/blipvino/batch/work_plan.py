"""What a job makes of each image, and by what: the same plan makes the same rows, in any process."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from blipvino import __version__
from blipvino.batch.batch_rows import TASKS, Task
from blipvino.batch.row_columns import RowColumns, ordered_tasks
from blipvino.bundle.bundle import Bundle
from blipvino.checkpoint.architectures import FOR_ANSWERS, FOR_RETRIEVAL, answers_questions, retrieves
from blipvino.checks import choice, integer
from blipvino.errors import InputError
from blipvino.runtime.compiling.engine_options import EngineOptions
from blipvino.runtime.decoding.generation_options import GenerationOptions
from blipvino.runtime.loaded_model import DEFAULT_BATCH_SIZE
from blipvino.runtime.reading import find_bundle, read_config
from blipvino.runtime.results import checked_confidence

RANKED = 5
"""Answers of a ranking that are kept."""
_LONG = 200
"""Characters of an option; of a longer one a digest is kept."""


@dataclass(frozen=True)
class TextWork:
    """How texts are made.

    Attributes:
        questions: asked of each image, unless its row brings its own; at least one, or every row has one.
        prompt: that every caption continues.
        answers: to rank.
        generation: of `GenerationOptions`, by name.
        min_confidence: texts that are less sure are left out.
    """

    questions: tuple[str, ...] = ()
    prompt: str | None = None
    answers: tuple[str, ...] = ()
    generation: Mapping[str, Any] = field(default_factory=dict)
    min_confidence: float = 0.0

    def __post_init__(self) -> None:
        """Check what needs no model.

        Raises:
            InputError: an option is not allowed.
        """
        GenerationOptions.from_keywords(self.generation)
        checked_confidence(self.min_confidence)


@dataclass(frozen=True)
class PlannedModel:
    """A bundle that a job needs.

    Attributes:
        folder: of the bundle, in the process that opens it.
        fingerprint: of the bundle, see `Bundle.fingerprint`.
        calibration: digest of how its confidence was fitted; None where it was not.
    """

    folder: Path
    fingerprint: str
    calibration: str | None = None

    @classmethod
    def of(cls, bundle: Bundle) -> PlannedModel:
        """That of an opened bundle."""
        fitted = bundle.manifest.confidence
        calibration = None if fitted is None else hashlib.sha256(repr(fitted).encode()).hexdigest()[:16]
        return cls(bundle.folder, bundle.fingerprint, calibration)

    def is_like(self, bundle: Bundle) -> bool:
        """Whether a bundle, wherever it is, makes the same."""
        return replace(PlannedModel.of(bundle), folder=self.folder) == self


@dataclass(frozen=True)
class WorkPlan:
    """What is done to each row. It can be pickled; a `RowWorker` does it.

    Attributes:
        tasks: in the order of their columns.
        texts: the model that captions, answers and ranks; None where nothing of these is asked.
        embeddings: the model that embeds; None likewise.
        text_work: how texts are made.
        columns: of the rows that come out.
        engine: how graphs are compiled.
        batch_size: texts that are generated, and images that are embedded, together; no row depends on it.
    """

    tasks: tuple[Task, ...]
    texts: PlannedModel | None
    embeddings: PlannedModel | None
    text_work: TextWork
    columns: RowColumns
    engine: EngineOptions = field(default_factory=EngineOptions)
    batch_size: int = DEFAULT_BATCH_SIZE

    @property
    def identity(self) -> dict[str, Any]:
        """All that decides what is made of an image, by names that users know; plain values.

        Threads, the cache and the size of batches change speed alone, and are not in it.
        """
        work, engine = self.text_work, self.engine
        found: dict[str, Any] = {"blipvino": __version__, "tasks": list(self.tasks)}
        if self.texts is not None:
            found["model"] = self.texts.fingerprint
            found["confidence"] = self.texts.calibration
            found["min-confidence"] = work.min_confidence
            if self._generates:
                found |= {name.replace("_", "-"): value for name, value in self._generation().items()}
            if "caption" in self.tasks:
                found["prompt"] = work.prompt
            if self._asks:
                found["questions"] = _brief(work.questions)
            if "rank" in self.tasks:
                found["answers"] = _brief(work.answers)
        if self.embeddings is not None:
            found["retrieval"] = self.embeddings.fingerprint
        return {
            **found,
            **{name: getattr(engine, name) for name in ("precision", "arithmetic", "layers", "device")},
        }

    @property
    def fingerprint(self) -> str:
        """Digest of the `identity`, 32 hexadecimal digits: rows that have the same were made alike."""
        return hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode()).hexdigest()[:32]

    def seeded(self, known: int | None = None) -> WorkPlan:
        """The plan with a seed, where texts are drawn: its own; else the known one; else one that is drawn now."""
        options = GenerationOptions.from_keywords(self.text_work.generation)
        if not (self._generates and options.do_sample and options.seed is None):
            return self
        generation = {**self.text_work.generation, "seed": secrets.randbits(32) if known is None else known}
        return replace(self, text_work=replace(self.text_work, generation=generation))

    @property
    def seed(self) -> int | None:
        """What texts are drawn by."""
        seed: int | None = self.text_work.generation.get("seed")
        return seed

    @property
    def _asks(self) -> bool:
        return "answer" in self.tasks or "rank" in self.tasks

    @property
    def _generates(self) -> bool:
        return "caption" in self.tasks or "answer" in self.tasks

    def _generation(self) -> dict[str, Any]:
        """Options of generation as they are; without ``max_new_tokens``, the bundle's."""
        options = asdict(GenerationOptions.from_keywords(self.text_work.generation))
        if "max_new_tokens" not in self.text_work.generation:
            options["max_new_tokens"] = None
        if not options["do_sample"]:
            for name in ("temperature", "top_k", "top_p", "seed"):
                del options[name]
        return options


def plan_work(
    tasks: Sequence[Task],
    model: Path,
    retrieval: Path | None = None,
    *,
    text_work: TextWork | None = None,
    engine: EngineOptions | None = None,
    batch_size: int = DEFAULT_BATCH_SIZE,
) -> WorkPlan:
    """A plan whose parts go together.

    Args:
        tasks: what to make of each image; at least one.
        model: folder of the bundle that makes it: for texts, or for retrieval where images are embedded alone.
        retrieval: of the bundle that embeds, beside one for texts.
        text_work: how texts are made.
        engine: how graphs are compiled.
        batch_size: rows that are worked on together.

    Raises:
        BundleError: a folder is no bundle.
        InputError: an option is not allowed, a task has no model that does it, or a model no task.
    """
    work = text_work or TextWork()
    check_tasks(tasks, work, retrieval)
    ordered = ordered_tasks(tasks)
    texts, embeddings = _models(ordered, find_bundle(model), None if retrieval is None else find_bundle(retrieval))
    width = None if embeddings is None else read_config(embeddings).image_text_hidden_size
    return WorkPlan(
        ordered,
        _planned(texts),
        _planned(embeddings),
        work,
        RowColumns(ordered, several_questions=len(work.questions) > 1, width=width),
        engine or EngineOptions(),
        integer("batch_size", batch_size, 1),
    )


def check_tasks(tasks: Sequence[Task], work: TextWork, retrieval: str | Path | None) -> None:
    """Refuse what can be told without a model. Arguments as of `plan_work`.

    Raises:
        InputError: there is no task, or one is not known, or has nothing to rank; or a model has none.
    """
    for task in tasks:
        choice("task", task, TASKS)
    if not tasks:
        raise InputError(f"no task; expected one or more of {', '.join(TASKS)}")
    if "rank" in tasks and not work.answers:
        raise InputError("no answers to rank; give a list of them")
    if retrieval is not None and "embed" not in tasks:
        raise InputError(f"{retrieval}: a bundle for retrieval has nothing to do without the task embed")


def check_model(tasks: Sequence[Task], architecture: str, place: str | Path, retrieval: str | Path | None) -> None:
    """Refuse a model that cannot do its tasks; its class tells.

    Args:
        tasks: of the job.
        architecture: class of its checkpoint.
        place: where it is.
        retrieval: where the one beside it is that embeds; None where there is none.

    Raises:
        InputError: it cannot.
    """
    for_texts = [task for task in tasks if task != "embed"]
    if not for_texts and retrieval is not None:
        raise InputError(f"{place}: has nothing to do beside {retrieval}; give that alone")
    if not for_texts:
        check_retrieval(architecture, place)
    if for_texts and retrieves(architecture):
        raise InputError(
            f"{place}: this model finds and matches, and generates no texts; {for_texts[0]} needs one such as "
            f"{FOR_ANSWERS}"
        )
    if for_texts and "embed" in tasks and retrieval is None:
        raise InputError(f"{place}: this model generates texts; embed needs one for retrieval beside it")
    if ("answer" in tasks or "rank" in tasks) and not answers_questions(architecture):
        raise InputError(f"{place}: this model captions only; answers need a checkpoint such as {FOR_ANSWERS}")


def check_retrieval(architecture: str, place: str | Path) -> None:
    """Refuse a model beside one for texts that does not embed. See `check_model`."""
    if not retrieves(architecture):
        raise InputError(f"{place}: this model generates texts; embed needs one such as {FOR_RETRIEVAL}")


def _models(tasks: Sequence[Task], model: Bundle, retrieval: Bundle | None) -> tuple[Bundle | None, Bundle | None]:
    """The bundle for texts, and the one for embeddings."""
    if retrieval is not None:
        check_retrieval(retrieval.manifest.architecture, retrieval.folder)
    beside = None if retrieval is None else retrieval.folder
    check_model(tasks, model.manifest.architecture, model.folder, beside)
    return (model, retrieval) if set(tasks) - {"embed"} else (None, model)


def _planned(bundle: Bundle | None) -> PlannedModel | None:
    return None if bundle is None else PlannedModel.of(bundle)


def _brief(texts: Sequence[str]) -> list[str] | str:
    """Texts as a manifest keeps them: a digest in place of very many."""
    if sum(map(len, texts)) <= _LONG:
        return list(texts)
    return f"{len(texts)} texts, {hashlib.sha256(json.dumps(list(texts)).encode()).hexdigest()[:16]}"
