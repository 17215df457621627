"""The models and indexes that are served: loaded while the server answers already, then found by name."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

from blipvino.checkpoint.architectures import retrieves
from blipvino.errors import RetrievalError
from blipvino.retrieval.photo_index import PhotoIndex
from blipvino.runtime.blip import Blip
from blipvino.runtime.features import FeatureExtractor
from blipvino.runtime.inputs.images import ImageProcessor
from blipvino.runtime.loaded_model import LoadedModel
from blipvino.runtime.reading import find_bundle
from blipvino.runtime.retriever import BlipRetriever
from blipvino.runtime.scheduling.watching import Watch
from blipvino.serve.problems import RequestError
from blipvino.serve.serve_settings import Place, ServeSettings
from blipvino.serve.warm_up import warm_up

Task = Literal["caption", "answer", "rank", "embed", "match", "search"]
_RETRY_SECONDS = 5

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class ServedModel:
    """A model under the name that clients call it by.

    Attributes:
        name: that name.
        loaded: the model.
        processor: of its images, with the server's limits.
        created: when it was loaded, in seconds since 1970.
    """

    name: str
    loaded: LoadedModel
    processor: ImageProcessor
    created: int

    @property
    def tasks(self) -> tuple[Task, ...]:
        """What it can do."""
        if isinstance(self.loaded, BlipRetriever):
            return "embed", "match"
        return ("caption", "answer", "rank") if self.loaded.config.answers_questions else ("caption",)

    @property
    def extractor(self) -> FeatureExtractor:
        """What knows images that it looked at."""
        return self.loaded.extractor

    @property
    def blip(self) -> Blip:
        """It as what generates texts."""
        assert isinstance(self.loaded, Blip)
        return self.loaded

    @property
    def retriever(self) -> BlipRetriever:
        """It as what embeds and matches."""
        assert isinstance(self.loaded, BlipRetriever)
        return self.loaded


@dataclass(frozen=True, eq=False)
class ServedIndex:
    """An index under the name that clients call it by, with the model that made it."""

    name: str
    index: PhotoIndex
    model: ServedModel


class ServedModels:
    """All that is served.

    Args:
        settings: what is to be.
        watch_of: what watches the texts of the model of a name.
    """

    def __init__(self, settings: ServeSettings, watch_of: Callable[[str], Watch]) -> None:
        self._settings = settings
        self._watch_of = watch_of
        self.models: dict[str, ServedModel] = {}
        self.indexes: dict[str, ServedIndex] = {}
        self.is_ready = False

    def load(self) -> None:
        """Load everything, which takes seconds.

        Raises:
            BlipvinoError: a bundle or an index cannot be loaded.
        """
        for place in self._settings.models:
            self.models[place.name] = self._loaded(place)
        for place in self._settings.indexes:
            index = PhotoIndex(place.folder)
            self.indexes[place.name] = ServedIndex(place.name, index, self._model_of(index))
        self.is_ready = True

    def close(self) -> None:
        """Give up what is being done, and end all threads."""
        self.is_ready = False
        for served in self.models.values():
            served.loaded.components.scheduler.close()
        for served_index in self.indexes.values():
            served_index.index.close()

    def check_ready(self) -> None:
        """Check that everything is loaded.

        Raises:
            RequestError: it is not yet.
        """
        if not self.is_ready:
            later = {"Retry-After": str(_RETRY_SECONDS)}
            raise RequestError(503, "loading", "the models are being loaded; try again soon", headers=later)

    def model(self, name: str | None, task: Task) -> ServedModel:
        """The model of a name, or the first that can do this.

        Raises:
            RequestError: there is none, it cannot do this, or the models are being loaded.
        """
        self.check_ready()
        if name is not None:
            served = self.named(name)
            if task not in served.tasks:
                raise RequestError(
                    422, "wrong_model", f"{name} does not {task}, only {', '.join(served.tasks)}", param="model"
                )
            return served
        able = next((served for served in self.models.values() if task in served.tasks), None)
        if able is None:
            raise RequestError(404, "no_model", f"no model here can {task}; there are {_listed(self.models)}")
        return able

    def named(self, name: str) -> ServedModel:
        """The model of a name.

        Raises:
            RequestError: there is none.
        """
        self.check_ready()
        if name not in self.models:
            raise RequestError(
                404, "model_not_found", f"no model {name[:80]!r} here; there are {_listed(self.models)}", param="model"
            )
        return self.models[name]

    def index(self, name: str | None) -> ServedIndex:
        """The index of a name, or the first.

        Raises:
            RequestError: there is none.
        """
        self.check_ready()
        if not self.indexes:
            raise RequestError(404, "no_index", "this server has no index of photos; start it with one")
        if name is not None and name not in self.indexes:
            message = f"no index {name[:80]!r} here; there are {_listed(self.indexes)}"
            raise RequestError(404, "index_not_found", message, param="index")
        return self.indexes[name] if name is not None else next(iter(self.indexes.values()))

    def _loaded(self, place: Place) -> ServedModel:
        begun = time.monotonic()
        bundle = find_bundle(place.folder)
        kind: type[Blip] | type[BlipRetriever]
        kind = BlipRetriever if retrieves(bundle.manifest.architecture) else Blip
        settings = self._settings
        loaded = kind.load(place.folder, options=settings.engine, image_cache_bytes=settings.image_cache_bytes)
        watched = replace(loaded.components, longest_queue=settings.queue, watch=self._watch_of(place.name))
        model = kind(watched)
        warm_up(model)
        processor = replace(model.images, limits=settings.limits.image_limits)
        logger.info("%s: loaded from %s in %.1f s", place.name, place.folder, time.monotonic() - begun)
        return ServedModel(place.name, model, processor, int(time.time()))

    def _model_of(self, index: PhotoIndex) -> ServedModel:
        made = index.manifest.bundle
        for served in self.models.values():
            if served.loaded.bundle.fingerprint == made.fingerprint and "embed" in served.tasks:
                return served
        raise RetrievalError(
            f"{index.folder}: none of the bundles that are served made it, but {made.label} of {made.checkpoint} from "
            f"{made.source}; serve that one, too"
        )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
