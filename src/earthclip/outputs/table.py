"""Answers as a table for people, and as CSV."""

from __future__ import annotations

import csv
import os
import shutil
import textwrap
from collections.abc import Iterable
from typing import Any, TextIO

from earthclip.errors import readable, visible
from earthclip.locating.prediction import Prediction, percent_text
from earthclip.outputs.structured import area90_km2, digits, rounded
from earthclip.pictures.prepare import Failure

COLUMNS = (
    *("path", "model", "rank", "latitude", "longitude", "probability", "error", "text"),
    *("place", "country_code", "warning", "verdict", "radius_km", "area90_km2", "scope"),
)


class NewlineEnded:
    """What csv.writer writes lines to that shall end in a newline alone."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, line: str) -> None:
        """Write one line."""
        self._stream.write(line.removesuffix("\r\n") + "\n")


class CSVWriter:
    """Rows under a header, ``COLUMNS``; comma separated, quoted where needed, newline ended."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        # Ended by \r\n, as this decides what is quoted: Python before 3.13 leaves other line breaks bare.
        self._rows = csv.writer(NewlineEnded(stream), lineterminator="\r\n")
        self._rows.writerow(COLUMNS)

    def write(self, answer: Prediction | Failure) -> None:
        """Write the rows of one picture."""
        for row in rows(answer):
            self._rows.writerow([row.get(name) for name in COLUMNS])
        self._stream.flush()

    def close(self) -> None:
        """Nothing is left to write."""
        self._stream.flush()


def rows(answer: Prediction | Failure) -> list[dict[str, Any]]:
    """A row for each place by the names of ``COLUMNS``, best first; None, or no such name, where it has no value.

    One row without a place where the picture failed or the answer abstained.
    """
    path = None if answer.path is None else printable(answer.path)
    if isinstance(answer, Failure):
        return [{"path": path, "error": printable(answer.error)}]
    radius_km = None if answer.verdict is None else answer.verdict.radius_km
    common: dict[str, Any] = {
        "path": path,
        "text": None if answer.text is None else printable(answer.text),
        "model": answer.model,
        "warning": warning_text(answer) or None,
        "verdict": level_word(answer) or None,
        "radius_km": None if radius_km is None else digits(radius_km),
        "area90_km2": area90_km2(answer),
        "scope": None if answer.scope is None else digits(answer.scope),
    }
    if answer.abstained or not len(answer.coordinates):
        return [common]
    return [
        common
        | {"rank": rank, "latitude": latitude, "longitude": longitude, "probability": probability}
        | {"place": place.text, "country_code": place.country_code}
        for rank, ((latitude, longitude, probability), place) in enumerate(
            zip(rounded(answer), answer.places, strict=True), start=1
        )
    ]


def warning_text(answer: Prediction) -> str:
    """The answer's warnings in one text; empty where there is none."""
    return " ".join(printable(warning.text) for warning in answer.warnings)


def printable(text: str | None) -> str:
    """The text with bytes that are no Unicode replaced, as file names may hold them."""
    return readable(text or "").encode("utf-8", "replace").decode("utf-8")


def level_word(answer: Prediction) -> str:
    """The verdict in a word: a level, ``nowhere``, ``abstained`` or ``out of scope``; empty where there is none."""
    if answer.abstained and answer.advice is not None:
        return "out of scope"
    if answer.abstained:
        return "abstained"
    verdict = answer.verdict
    return "" if verdict is None else verdict.level or "nowhere"


_HEADER = "rank  latitude  longitude  probability          place"
_PLACE_COLUMN, _BAR_WIDTH, _SHORTEST_PLACE = 48, 10, 20


class TableWriter:
    """The model's caution and a header, then the lines of each picture: its warnings, its places, the verdict.

    With ``several_models``, each answer and caution names its model.
    """

    def __init__(self, stream: TextIO, *, several_models: bool = False) -> None:
        self._stream, self._several_models = stream, several_models
        self._cautions: set[str] = set()  # written already
        self._started = False
        # A place of many words keeps some room where a terminal is narrower than the numbers beside it.
        self._width = max(line_width(stream), _PLACE_COLUMN + _SHORTEST_PLACE)
        encoding = getattr(stream, "encoding", None) or "utf-8"
        self._block = "█" if encoding.lower().replace("-", "") == "utf8" else "#"

    def write(self, answer: Prediction | Failure) -> None:
        """Write the lines of one picture; a Failure has no line here, the command line says it on stderr."""
        if isinstance(answer, Failure):
            return
        by = f" ({visible(printable(answer.model))})" if self._several_models else ""
        lines = [f"{visible(printable(answer.subject))}{by}"]
        lines += self._indented(warning.text for warning in answer.warnings if warning.kind != "model")
        lines += [*(self._places(answer) or ["   -"]), *self._indented(trust_sentences(answer))]
        if not self._started:
            lines.insert(0, _HEADER)
        elif len(lines) > 2:
            lines.insert(0, "")
        if answer.caution is not None and answer.caution not in self._cautions:
            self._cautions.add(answer.caution)
            lines.insert(0, f"caution{by}: {visible(printable(answer.caution))}")
        self._stream.write("\n".join(lines) + "\n")
        self._stream.flush()
        self._started = True

    def close(self) -> None:
        """Nothing is left to write."""

    def _indented(self, sentences: Iterable[str]) -> list[str]:
        return [line for text in sentences for line in wrapped(printable(text), self._width, " " * 6, " " * 6)]

    def _places(self, answer: Prediction) -> list[str]:
        lines = []
        rows = zip(answer.coordinates.tolist(), answer.probabilities.tolist(), answer.places, strict=True)
        for rank, ((latitude, longitude), probability, place) in enumerate(rows if not answer.abstained else (), 1):
            bar = self._block * round(probability * _BAR_WIDTH)
            line = (
                f"{rank:4d}  {latitude:8.4f}  {longitude:9.4f}  {percent_text(probability):>7}  {bar:<{_BAR_WIDTH}}  "
            )
            lines += wrapped(printable(place.text), self._width, line, " " * _PLACE_COLUMN)
        return lines


def line_width(stream: TextIO) -> int:
    """Columns of the terminal that ``stream`` is, 80 where it is none."""
    if not stream.isatty():
        return 80
    try:
        return os.get_terminal_size(stream.fileno()).columns
    except OSError:
        return shutil.get_terminal_size().columns


def wrapped(text: str, width: int, first: str, indent: str) -> list[str]:
    """Lines of ``text`` that end between words; a word longer than a line is left whole."""
    return [
        line.rstrip()
        for line in textwrap.wrap(
            text, width, initial_indent=first, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
        )
    ] or [first.rstrip()]


def trust_sentences(answer: Prediction) -> list[str]:
    """How far to trust an answer, to be read after its warnings: the share of its region, verdict and 90 % region."""
    sentences = []
    if answer.region_share is not None and not any(warning.kind == "region" for warning in answer.warnings):
        name, share = visible(printable(answer.region)), percent_text(answer.region_share)
        sentences.append(f"The unrestricted model gives {name} {share}.")
    if answer.sources:
        sentences.append(f"Found from: {', '.join(answer.sources)}.")
    said = [] if answer.verdict is None else [answer.verdict.sentence.rstrip(".") + "."]
    for region in answer.credible:
        if abs(region.mass - 0.9) < 1e-9:
            areas = f" in {region.areas} areas" if len(region.cells) and region.areas > 1 else ""
            said.append(f"90 % region: {area_text(region.area_km2)}{areas}.")
    return [*sentences, " ".join(said)] if said else sentences


def area_text(area_km2: float) -> str:
    """An area for people, to 2 digits: "1.2 million km²", "350 km²", "0.4 km²"."""
    area = float(f"{area_km2:.2g}")
    if area >= 1e6:
        return f"{area / 1e6:,.3g} million km²"
    return f"{area:,.0f} km²" if area >= 10 else f"{area:.2g} km²"
