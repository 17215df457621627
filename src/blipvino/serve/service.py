"""All that answers requests: models, services, limits; one a process."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property

from starlette.requests import Request

from blipvino.serve.admission import Admission
from blipvino.serve.background import Background
from blipvino.serve.fetching import Fetcher, FetchRules
from blipvino.serve.held_bytes import ByteBudget
from blipvino.serve.image_intake import ImageIntake
from blipvino.serve.retrieval_service import RetrievalService
from blipvino.serve.serve_metrics import ServeMetrics
from blipvino.serve.serve_settings import ServeSettings
from blipvino.serve.served_models import ServedModels
from blipvino.serve.supervision import Supervision
from blipvino.serve.text_service import TextService

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class Service:
    """What a process serves with.

    Attributes:
        settings: as it was started.
        supervision: of a worker among others.
        is_draining: whether it ends as soon as what it accepted is answered.
    """

    settings: ServeSettings
    supervision: Supervision | None = None
    is_draining: bool = False

    @cached_property
    def metrics(self) -> ServeMetrics:
        """What is counted."""
        return ServeMetrics()

    @cached_property
    def models(self) -> ServedModels:
        """The models and indexes."""
        return ServedModels(self.settings, self.metrics.watch)

    @cached_property
    def bytes(self) -> ByteBudget:
        """How much of requests is held."""
        return ByteBudget(self.settings.bodies * self.settings.limits.body_bytes)

    @cached_property
    def admission(self) -> Admission:
        """How many texts are waited for."""
        return Admission(self.settings.queue, self.settings.limits.seconds)

    @cached_property
    def intake(self) -> ImageIntake:
        """Decodes images."""
        limits = self.settings.limits
        rules = FetchRules.public(limits.body_bytes, limits.read_seconds)
        return ImageIntake(limits, Fetcher(rules) if self.settings.fetch else None)

    @cached_property
    def background(self) -> Background:
        """Does what blocks."""
        return Background()

    @cached_property
    def texts(self) -> TextService:
        """Makes texts."""
        return TextService(self.settings.limits, self.intake, self.admission, self.background)

    @cached_property
    def retrieval(self) -> RetrievalService:
        """Embeds, matches and searches."""
        return RetrievalService(self.texts)

    @property
    def is_ready(self) -> bool:
        """Whether requests are taken, to whichever worker they come."""
        others = self.supervision is None or self.supervision.group_ready.is_set
        return self.models.is_ready and others and not self.is_draining

    def observe(self) -> None:
        """Bring what is measured of the models up to date."""
        self.metrics.pending.set(self.admission.pending)
        self.metrics.ready.set(self.models.is_ready)
        self.metrics.shared.reach("", self.texts.flights.shared)
        for name, served in self.models.models.items():
            parts = served.loaded.components
            self.metrics.observe_model(name, parts.scheduler.load, parts.extractor.cache)

    def close(self) -> None:
        """End what runs."""
        self.models.close()
        self.intake.close()
        self.background.close()


def service_of(request: Request) -> Service:
    """That which a request is answered by."""
    service: Service = request.app.state.service
    return service
