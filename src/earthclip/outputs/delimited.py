"""CSV: one row for each candidate place, and one with only path and error for a picture that failed."""

from __future__ import annotations

import csv
from typing import TextIO

from earthclip.outputs.structured import rounded
from earthclip.prediction import Failure, Prediction

COLUMNS = ("path", "model", "rank", "latitude", "longitude", "probability", "error", "text")


class CSVWriter:
    """Rows under a header, ``COLUMNS``; comma separated, quoted where needed, newline ended."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._rows = csv.writer(stream, lineterminator="\n")
        self._rows.writerow(COLUMNS)

    def write(self, answer: Prediction | Failure) -> None:
        """Write the rows of one picture."""
        path = printable(answer.path)
        if isinstance(answer, Failure):
            self._rows.writerow([path, "", "", "", "", "", printable(answer.error), ""])
        else:
            for rank, values in enumerate(rounded(answer), start=1):
                self._rows.writerow([path, answer.model, rank, *values, "", printable(answer.text)])
        self._stream.flush()

    def close(self) -> None:
        """Nothing is left to write."""
        self._stream.flush()


def printable(text: str | None) -> str:
    """The text with bytes that are no Unicode replaced, as file names may hold them."""
    return (text or "").encode("utf-8", "replace").decode("utf-8")
