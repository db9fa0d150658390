"""CSV: one row for each candidate place, and one without a place for a picture that failed or has no answer."""

from __future__ import annotations

import csv
from typing import TextIO

from earthclip.outputs.structured import area90_km2, digits, rounded
from earthclip.prediction import Failure, Prediction

COLUMNS = (
    *("path", "model", "rank", "latitude", "longitude", "probability", "error", "text"),
    *("place", "country_code", "verdict", "radius_km", "area90_km2"),
)


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
            self._rows.writerow([path, *[""] * 5, printable(answer.error), *[""] * 6])
        else:
            text, trust = printable(answer.text), _trust(answer)
            rows = [] if answer.abstained else zip(rounded(answer), answer.places, strict=True)
            written = 0
            for written, (values, place) in enumerate(rows, start=1):
                named = place.text, place.country_code or ""
                self._rows.writerow([path, answer.model, written, *values, "", text, *named, *trust])
            if not written:
                self._rows.writerow([path, answer.model, *[""] * 5, text, "", "", *trust])
        self._stream.flush()

    def close(self) -> None:
        """Nothing is left to write."""
        self._stream.flush()


def printable(text: str | None) -> str:
    """The text with bytes that are no Unicode replaced, as file names may hold them."""
    return (text or "").encode("utf-8", "replace").decode("utf-8")


def level_word(answer: Prediction) -> str:
    """The verdict in one word: a level, ``nowhere``, or ``abstained``; empty where there is no verdict."""
    if answer.abstained:
        return "abstained"
    verdict = answer.verdict
    return "" if verdict is None else verdict.level or "nowhere"


def _trust(answer: Prediction) -> list[object]:
    verdict, area = answer.verdict, area90_km2(answer)
    radius = None if verdict is None or verdict.radius_km is None else digits(verdict.radius_km)
    return [level_word(answer), "" if radius is None else radius, "" if area is None else area]
