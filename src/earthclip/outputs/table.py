"""The table for people: a line for each candidate place, aligned, with a bar for its probability.

The picture's name stands last and once, so that no name, however long, moves the numbers.
"""

from __future__ import annotations

from typing import TextIO

from earthclip.outputs.delimited import printable
from earthclip.prediction import Failure, Prediction

_HEADER = "rank   latitude   longitude   probability              picture"
_BAR_WIDTH = 10


class TableWriter:
    """Lines under one header; a blank line between pictures that have several places."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._started = False
        encoding = getattr(stream, "encoding", None) or "utf-8"
        self._block = "█" if encoding.lower().replace("-", "") == "utf8" else "#"

    def write(self, answer: Prediction | Failure) -> None:
        """Write the lines of one picture; a Failure has no line here, the command line says it on stderr."""
        if isinstance(answer, Failure):
            return
        several = len(answer.coordinates) > 1
        lines = ([""] if several else []) if self._started else [_HEADER]
        rows = zip(answer.coordinates.tolist(), answer.probabilities.tolist(), strict=True)
        for rank, ((latitude, longitude), probability) in enumerate(rows, start=1):
            bar = self._block * round(probability * _BAR_WIDTH)
            numbers = f"{rank:4d}  {latitude:9.4f}  {longitude:10.4f}   {_percent(probability):>11}"
            name = printable(answer.subject) if rank == 1 else ""
            lines.append(f"{numbers}  {bar:<{_BAR_WIDTH}}  {name}".rstrip())
        self._stream.write("\n".join(lines) + "\n")
        self._stream.flush()
        self._started = True

    def close(self) -> None:
        """Nothing is left to write."""


def _percent(probability: float) -> str:
    return "< 0.1 %" if probability < 0.0005 else f"{100 * probability:.1f} %"
