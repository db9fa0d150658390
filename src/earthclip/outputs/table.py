"""Answers as a table for people, and as CSV."""

from __future__ import annotations

import csv
from typing import TextIO

from earthclip.locating.prediction import Prediction
from earthclip.outputs.structured import area90_km2, digits, rounded
from earthclip.pictures.prepare import Failure

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


_NUMBERS = "rank   latitude   longitude   probability            "
_BAR_WIDTH, _PLACE_WIDTH = 10, 36
_DOUBTFUL = 0.05  # of the probability in the region that was asked for


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
        lines = self._places(answer)
        name = printable(answer.subject)
        lines = [f"{lines[0]}  {name}".rstrip(), *map(str.rstrip, lines[1:])] if lines else [f"   -  {name}"]
        if sentence := _sentence(answer):
            lines.append(f"      {sentence}")
        if answer.region_share is not None:
            share = f"{_percent(answer.region_share)} of the probability when nothing is ruled out"
            doubt = "; probably taken elsewhere" if answer.region_share < _DOUBTFUL else ""
            lines.append(f"      only {printable(answer.region)}: {share}{doubt}")
        if not self._started:
            lines.insert(0, f"{_NUMBERS}  {'place':<{_PLACE_WIDTH}}  picture")
        elif len(lines) > 1:
            lines.insert(0, "")
        self._stream.write("\n".join(lines) + "\n")
        self._stream.flush()
        self._started = True

    def close(self) -> None:
        """Nothing is left to write."""

    def _places(self, answer: Prediction) -> list[str]:
        lines = []
        rows = zip(answer.coordinates.tolist(), answer.probabilities.tolist(), answer.places, strict=True)
        for rank, ((latitude, longitude), probability, place) in enumerate(rows if not answer.abstained else (), 1):
            bar = self._block * round(probability * _BAR_WIDTH)
            line = f"{rank:4d}  {latitude:9.4f}  {longitude:10.4f}   {_percent(probability):>11}  {bar:<{_BAR_WIDTH}}"
            lines.append(f"{line}  {printable(place.text):<{_PLACE_WIDTH}}")
        return lines


def _sentence(answer: Prediction) -> str:
    verdict, area = answer.verdict, area90_km2(answer)
    parts = ["no answer to trust"] if answer.abstained else []
    if verdict is not None:
        parts.append(verdict.sentence.rstrip("."))
    if area is not None:
        parts.append(f"90 % of the probability is within {area_text(area)}")
    return "; ".join(parts)


def area_text(area_km2: float) -> str:
    """An area for people, to 2 digits: "1.2 million km²", "350 km²", "0.4 km²"."""
    area = float(f"{area_km2:.2g}")
    if area >= 1e6:
        return f"{area / 1e6:,.3g} million km²"
    return f"{area:,.0f} km²" if area >= 10 else f"{area:.2g} km²"


def _percent(probability: float) -> str:
    return "< 0.1 %" if probability < 0.0005 else f"{100 * probability:.1f} %"
