"""What Prometheus is told: requests, the queue, batches, stages, the cache of images."""

from __future__ import annotations

import os

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from blipvino.runtime.features import FeatureCache
from blipvino.runtime.scheduling.watching import Load
from blipvino.serve.stage_times import StageTimes

SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable of prometheus_client: where several processes count together."""
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_STEP_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)
_ROWS = (1, 2, 4, 8, 12, 16, 24, 32, 64)


class _Total:
    """A counter that follows numbers which are counted elsewhere."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._reached: dict[str, int] = {}

    def reach(self, model: str, number: int) -> None:
        """The number is so much now, of the model of this name; of all together where it is empty."""
        counter = self._counter.labels(model) if model else self._counter
        counter.inc(max(0, number - self._reached.get(model, 0)))
        self._reached[model] = number


class ModelWatch:
    """A `Watch` of one model's texts."""

    def __init__(self, metrics: ServeMetrics, model: str) -> None:
        self._encode = metrics.encode_seconds.labels(model)
        self._step = metrics.step_seconds.labels(model)
        self._rows = metrics.batch_rows.labels(model)

    def encoded(self, texts: int, seconds: float) -> None:
        """What so many texts are about was looked at, together."""
        self._encode.observe(seconds)

    def stepped(self, rows: int, seconds: float) -> None:
        """So many rows of text got their next token."""
        self._step.observe(seconds)
        self._rows.observe(rows)


class ServeMetrics:
    """Counters, gauges and histograms of one process; where `SHARED_FOLDER` is set, they are read of all together."""

    def __init__(self) -> None:
        own = self._registry = CollectorRegistry()
        one = ["model"]
        requests = ["route", "status"]
        self.requests = Counter("blipvino_requests", "Requests that were answered.", requests, registry=own)
        self.seconds = Histogram(
            "blipvino_request_seconds", "Of whole requests.", ["route"], buckets=_SECONDS, registry=own
        )
        self.stages = Histogram(
            "blipvino_stage_seconds", "Of a request's stages.", ["stage"], buckets=_SECONDS, registry=own
        )
        self.encode_seconds = Histogram(
            "blipvino_encode_seconds", "Of looking at images and questions.", one, buckets=_SECONDS, registry=own
        )
        self.step_seconds = Histogram(
            "blipvino_step_seconds", "Of decoding one token of a batch.", one, buckets=_STEP_SECONDS, registry=own
        )
        self.batch_rows = Histogram(
            "blipvino_batch_rows", "Rows that were decoded together.", one, buckets=_ROWS, registry=own
        )
        self.pending = self._gauge("blipvino_queue_depth", "Texts that are waited for.", [])
        self.ready = self._gauge("blipvino_ready_workers", "Workers whose models are loaded.", [])
        self._waiting = self._gauge("blipvino_waiting_texts", "Texts that wait for the model.", one)
        self._rows = self._gauge("blipvino_rows_in_use", "Rows that are being decoded.", one)
        self._cache_bytes = self._gauge("blipvino_image_cache_bytes", "Of what is known of images.", one)
        self._hits = _Total(Counter("blipvino_image_cache_hits", "Images that were known.", one, registry=own))
        self._misses = _Total(Counter("blipvino_image_cache_misses", "Images that were not.", one, registry=own))
        self.shared = _Total(
            Counter("blipvino_shared_requests", "Requests whose texts were being made already.", registry=own)
        )

    def watch(self, model: str) -> ModelWatch:
        """What watches the texts of a model."""
        return ModelWatch(self, model)

    def observe_model(self, name: str, load: Load, cache: FeatureCache) -> None:
        """What a model is busy with, and what it knows."""
        self._waiting.labels(name).set(load.waiting + load.ready)
        self._rows.labels(name).set(load.rows)
        self._cache_bytes.labels(name).set(cache.nbytes)
        self._hits.reach(name, cache.hits)
        self._misses.reach(name, cache.misses)

    def observe_request(self, route: str, status: int, seconds: float, times: StageTimes) -> None:
        """A request was answered."""
        self.requests.labels(route, str(status)).inc()
        self.seconds.labels(route).observe(seconds)
        for stage, of_stage in times.seconds.items():
            self.stages.labels(stage).observe(of_stage)

    def page(self) -> bytes:
        """All of it, as Prometheus reads it."""
        registry = self._registry
        if SHARED_FOLDER in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)

    def _gauge(self, name: str, meaning: str, labels: list[str]) -> Gauge:
        """Of several processes, the sum of those that live."""
        return Gauge(name, meaning, labels, registry=self._registry, multiprocess_mode="livesum")
