"""What /metrics tells, in Prometheus's text format; one registry for each server, so that two do not add up."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_BATCHES = (1, 2, 4, 8, 16, 32, 64)


class Meters:
    """Counters of one server. Labels take few values whatever clients send."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = self._counter("requests", "Requests answered.", ["method", "route", "status"])
        self.seconds = Histogram(
            "earthclip_request_seconds",
            "From arrival to the last byte.",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.pictures = self._counter("pictures", "Pictures located or refused.", ["outcome"])
        self.batch = Histogram(
            "earthclip_batch_size", "Items encoded at once.", buckets=_BATCHES, registry=self.registry
        )
        self.encoding = self._counter("encoding_seconds", "Time the encoder worked.", [])

    def watch(self, name: str, what: str, value: Callable[[], float]) -> None:
        """A gauge that is read when asked for."""
        Gauge(f"earthclip_{name}", what, registry=self.registry).set_function(value)

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self.registry)

    def _counter(self, name: str, what: str, labels: list[str]) -> Counter:
        return Counter(f"earthclip_{name}", what, labels, registry=self.registry)
