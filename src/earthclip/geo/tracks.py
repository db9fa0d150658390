"""Tracks: positions with times from GPX, KML and GeoJSON files, read without believing them.

Sources: GPX 1.1 schema; KML 2.2 with Google's gx:Track; GeoJSON (RFC 7946) with coordTimes, as togeojson writes it.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from jaxtyping import Float64

from earthclip.errors import InputError
from earthclip.geo.sphere import are_places, great_circle_km, wrapped

FASTEST_KM_H = 1000.0  # an airliner with the wind
_LARGEST = 512 << 20
_EARLIEST = datetime(1990, 1, 1, tzinfo=UTC).timestamp()
_NOISE_KM = 1.0  # between fixes a second apart, a receiver's error is no speed
_FORMS = ".gpx, .kml or .geojson"

_Fix = tuple[Any, Any, Any]  # latitude, longitude and time as they stand in the file


@dataclass(frozen=True, eq=False)
class Track:
    """Positions ``coordinates`` [n, 2] in degrees at ``times_s`` [n], seconds since 1970 in UTC, ascending.

    ``faults`` are halves of sentences about what was left out or is doubtful.
    """

    times_s: Float64[np.ndarray, " n"]
    coordinates: Float64[np.ndarray, "n 2"]
    faults: tuple[str, ...] = ()


def read_track(path: Path) -> Track:
    """The track in a file. A time without a zone is UTC, as GPX has it.

    Points without time, off the Earth, before 1990 or in the future, and single points that nothing could have reached
    are left out and counted. Raises InputError for a file that cannot be read, or that holds no point with a time.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise InputError(f"{path}: larger than 512 MB, too large for a track; divide it")
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path of the track") from error
    suffix = path.suffix.lower()
    if suffix in (".geojson", ".json"):
        fixes = _geojson(data, path)
    elif suffix in (".gpx", ".kml"):
        root = _xml(data, path)
        fixes = _gpx(root) if suffix == ".gpx" else _kml(root)
    else:
        raise InputError(f"{path}: unknown kind of track; expected a file that ends in {_FORMS}")
    return _track(fixes, path)


def _track(fixes: Iterable[_Fix], path: Path) -> Track:
    untimed = wrong = 0
    rows: list[tuple[float, float, float]] = []
    for latitude, longitude, when in fixes:
        seconds = _seconds(when)
        try:
            place = float(latitude), float(longitude)
        except (TypeError, ValueError):
            place = math.nan, math.nan
        if seconds is None:
            untimed += 1
        elif not _EARLIEST <= seconds <= time.time() + 86_400 or place == (0, 0):
            wrong += 1
        else:
            rows.append((seconds, *place))
    table = np.array(rows, np.float64).reshape(-1, 3)
    valid = are_places(np.ascontiguousarray(table[:, 1:]))
    wrong += int((~valid).sum())
    table = table[valid][np.argsort(table[valid, 0], kind="stable")]
    if not len(table):
        left = f" ({untimed:,} points without a time)" if untimed else ""
        raise InputError(f"{path}: holds no point with a position and a time{left}; export the track with times")
    table, spikes, jumps = _without_spikes(table)
    faults = [
        (untimed, "left out {:,} points without a time"),
        (wrong, "left out {:,} points off the Earth, at 0, 0, before 1990 or in the future"),
        (spikes, "left out {:,} single points that nothing could have reached"),
        (jumps, "{:,} jumps faster than 1,000 km/h"),
    ]
    told = tuple(words.format(count) for count, words in faults if count)
    return Track(table[:, 0], wrapped(np.ascontiguousarray(table[:, 1:])), told)


def _without_spikes(table: Float64[np.ndarray, "n 3"]) -> tuple[Float64[np.ndarray, "k 3"], int, int]:
    """The fixes without those that are too far from both the one before and the one after; how many, and jumps left."""
    jumps = _jumps(table[:-1], table[1:])
    spikes = np.zeros(len(table), bool)
    spikes[1:-1] = jumps[:-1] & jumps[1:] & ~_jumps(table[:-2], table[2:])
    kept = table[~spikes]
    return kept, int(spikes.sum()), int(_jumps(kept[:-1], kept[1:]).sum())


def _jumps(before: Float64[np.ndarray, "n 3"], after: Float64[np.ndarray, "n 3"]) -> np.ndarray:
    hours = (after[:, 0] - before[:, 0]) / 3600
    apart_km = great_circle_km(before[:, 1:], after[:, 1:])
    return np.asarray(apart_km > _NOISE_KM + FASTEST_KM_H * hours)


def _seconds(when: object) -> float | None:
    if isinstance(when, bool):
        return None
    if isinstance(when, int | float):
        return float(when) / 1000 if abs(when) > 1e11 else float(when)  # of JavaScript in milliseconds
    try:
        moment = datetime.fromisoformat(str(when).strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _xml(data: bytes, path: Path) -> ElementTree.Element:
    # Without a document type there are no entities; UTF-16, in which one would not be seen here, has NUL bytes.
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data or b"\0" in data:
        raise InputError(f"{path}: XML with a document type, or not in UTF-8; export the track again")
    try:
        return ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise InputError(f"{path}: not XML ({error}); export the track again") from error


def _local(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _gpx(root: ElementTree.Element) -> Iterator[_Fix]:
    for point in root.iter():
        if _local(point) in ("trkpt", "wpt", "rtept"):
            when = next((child.text for child in point if _local(child) == "time"), None)
            if when is not None or _local(point) == "trkpt":
                yield point.get("lat"), point.get("lon"), when


def _kml(root: ElementTree.Element) -> Iterator[_Fix]:
    for element in root.iter():
        if _local(element) == "Track":
            times = [child.text for child in element if _local(child) == "when"]
            places = [(child.text or "").split() for child in element if _local(child) == "coord"]
            for when, place in zip(times, places, strict=False):
                yield *(place[1::-1] if len(place) > 1 else (None, None)), when
        elif _local(element) == "Placemark":
            when = next((one.text for stamp in element if _local(stamp) == "TimeStamp" for one in stamp), None)
            point = next(
                (
                    one
                    for child in element
                    if _local(child) == "Point"
                    for one in child.iter()
                    if _local(one) == "coordinates"
                ),
                None,
            )
            if point is not None and when is not None:
                place = (point.text or "").strip().split(",")
                yield *(place[1::-1] if len(place) > 1 else (None, None)), when


def _geojson(data: bytes, path: Path) -> Iterator[_Fix]:
    try:
        document = json.loads(data)
        for feature in document.get("features", [document]):
            geometry, properties = feature["geometry"], feature.get("properties") or {}
            for places, times in _lines(geometry or {}, properties):
                for number, place in enumerate(places):
                    yield place[1], place[0], times[number] if number < len(times) else None
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise InputError(f"{path}: not GeoJSON of a track ({error!r}); export the track again") from error


def _lines(geometry: dict[str, Any], properties: dict[str, Any]) -> Iterable[tuple[list[Any], list[Any]]]:
    """The positions of each line of a feature, and their times as far as there are any."""
    kind, places = geometry.get("type"), geometry.get("coordinates") or []
    of_points = {**(properties.get("coordinateProperties") or {}), **properties}
    times: list[Any] = of_points.get("coordTimes") or of_points.get("times") or []
    if kind == "Point":
        when = next((properties[name] for name in ("time", "timestamp", "datetime") if name in properties), None)
        return [([places], [when])]
    if kind == "LineString":
        return [(places, times)]
    return zip(places, times or [[]] * len(places), strict=False) if kind == "MultiLineString" else []
