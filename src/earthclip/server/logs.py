"""One line of JSON for each request and event: what happened and how long it took, never what was sent."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any, TextIO

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
