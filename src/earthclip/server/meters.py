"""The server's metrics and its log: one line of JSON for each request."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

LOGGER = logging.getLogger("earthclip.server")


def log(event: str, level: int = logging.INFO, **values: Any) -> None:
    """Write ``event`` with its values; they must be plain JSON values that tell nothing about photos or words."""
    LOGGER.log(level, event, extra={"values": values})


class JSONFormatter(logging.Formatter):
    """A record as one line of JSON, with the time in UTC."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its break."""
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{at}.{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        line |= getattr(record, "values", {})
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class _Handler(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Nothing: whoever read the log went away, which is no reason to stop answering."""


def log_to(stream: TextIO | None = None) -> None:
    """Send the server's lines, and uvicorn's warnings in the same form, to ``stream`` [stdout]."""
    handler = _Handler(stream or sys.stdout)
    handler.setFormatter(JSONFormatter())
    for name, level in (("earthclip.server", logging.INFO), ("uvicorn", logging.WARNING), ("asyncio", logging.ERROR)):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(level)
        logger.propagate = False


_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_BATCHES = (1, 2, 4, 8, 16, 32, 64)


class Meters:
    """Counters of one server. Labels take few values whatever clients send."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        labels = ["method", "route", "status"]
        self.requests = Counter("earthclip_requests", "Requests answered.", labels, registry=registry)
        self.seconds = Histogram(
            "earthclip_request_seconds",
            "From arrival to the last byte.",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        outcome = ["outcome"]
        self.pictures = Counter("earthclip_pictures", "Pictures located or refused.", outcome, registry=registry)
        self.batch = Histogram("earthclip_batch_size", "Photos encoded at once.", buckets=_BATCHES, registry=registry)
        self.encoding = Counter("earthclip_encoding_seconds", "Time the encoder worked.", registry=registry)

    def watch(self, name: str, what: str, value: Callable[[], float]) -> None:
        """A gauge that is read when asked for."""
        Gauge(f"earthclip_{name}", what, registry=self.registry).set_function(value)

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self.registry)
