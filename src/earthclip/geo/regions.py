"""Regions of the Earth as users write them (a country, a box, a circle, a file), and which coordinates lie in them."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import math
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import shapely
from jaxtyping import Bool, Num
from shapely.affinity import scale
from shapely.geometry import MultiPolygon, Polygon, box

from earthclip.errors import InputError
from earthclip.geo.countries import country_outlines
from earthclip.geo.names import MARGIN_KM, NamedArea, find_area
from earthclip.geo.shapes import box_area, circle_area, cut, polygonal
from earthclip.geo.sphere import EARTH_RADIUS_KM, wrap_longitude
from earthclip.geo.vector_files import SUFFIXES, area_of_geojson, read_area

__all__ = ["SHORE_KM", "Region", "country_outlines", "parse_region", "parse_regions"]

SHORE_KM = 5.0  # how far a country's region reaches beyond its outline: piers, boats, and islets too small to be drawn

_TEXTS = "a country or part of one, 'lat,lon,km', 'south,west,north,east', or "


def _expected(files: bool) -> str:
    return _TEXTS + ("a .geojson, .json, .gpkg or .shp file" if files else "the text of a GeoJSON polygon")


_BAND_DEG = 5.0  # of latitude, in which a degree of longitude counts as equally long
_LOCK = threading.Lock()


@dataclasses.dataclass(frozen=True, eq=False)
class Region:
    """An area of the Earth: a valid MultiPolygon of (longitude, latitude) in degrees, cut at the antimeridian.

    ``name`` is for people. ``a | b`` is the union. Raises InputError for an area that is empty.
    """

    name: str
    geometry: Polygon | MultiPolygon  # a MultiPolygon from the moment the region exists

    def __post_init__(self) -> None:
        geometry = cut(self.geometry)
        if geometry.is_empty or not geometry.area > 0.0:
            raise InputError(f"region {self.name} is empty; give an area larger than a line or point")
        object.__setattr__(self, "geometry", geometry)
        _prepare(geometry)

    @property
    def fingerprint(self) -> str:
        """8 characters that differ where the geometry does."""
        return hashlib.sha256(self.geometry.wkb).hexdigest()[:8]

    def contains(self, coordinates: Num[np.ndarray, "n 2"]) -> Bool[np.ndarray, " n"]:
        """Which coordinates, in degrees with longitudes of any turn, lie in the region or on its edge.

        Raises InputError for another shape, for values that are not finite, and for latitudes beyond 90.
        """
        coordinates = np.asarray(coordinates, dtype=np.float64)
        if coordinates.ndim != 2 or coordinates.shape[1] != 2:
            shape = list(coordinates.shape)
            raise InputError(f"region {self.name}: expected shape [n, 2] (latitude, longitude), found {shape}")
        valid = np.isfinite(coordinates).all(axis=1) & (np.abs(coordinates[:, 0]) <= 90.0)
        if not valid.all():
            row = int(np.argmin(valid))
            found = coordinates[row].tolist()
            raise InputError(f"region {self.name}, row {row}: {found} is not a place; give finite latitudes within ±90")
        latitude, longitude = coordinates[:, 0], wrap_longitude(coordinates[:, 1])
        west, south, east, north = self.geometry.bounds
        inside: np.ndarray = ((latitude == 90.0) & (north == 90.0)) | ((latitude == -90.0) & (south == -90.0))
        near = (latitude >= south) & (latitude <= north) & (longitude >= west) & (longitude <= east)
        rows = np.flatnonzero(near & ~inside)
        inside[rows] = shapely.intersects_xy(self.geometry, longitude[rows], latitude[rows])
        seam = np.flatnonzero((longitude == -180.0) & ~inside)  # the same meridian seen from the other side
        inside[seam] = shapely.intersects_xy(self.geometry, np.full(len(seam), 180.0), latitude[seam])
        return inside

    def __or__(self, other: Region) -> Region:
        return Region(f"{self.name} or {other.name}", polygonal(self.geometry.union(other.geometry)))

    def __reduce__(self) -> tuple[type[Region], tuple[str, MultiPolygon]]:
        return Region, (self.name, self.geometry)  # built again, so that another process prepares it too


def parse_region(text: str, *, files: bool = True) -> Region:
    """The region a text names.

    "Norway", "NO" or "NOR": a country with the sea up to 5 km from it; "Texas" or "Georgia, US" a part of one, "Asia" a
    continent. "59.9,10.7,50": within 50 km of a place.
    "57,4,71,32": a box of south, west, north, east (west > east goes across the antimeridian). A text that begins with
    "{": GeoJSON. A name ending in .geojson, .json, .gpkg or .shp: that file, unless ``files`` is false.
    Raises InputError for anything else, MissingExtraError for a .gpkg or .shp without the extra ``geo``.
    """
    text = text.strip()
    short = text if len(text) <= 60 else f"{text[:60]}..."
    if not text:
        raise InputError(f"the region is empty; expected {_expected(files)}")
    if text.startswith("{"):
        return Region("as drawn", area_of_geojson(text, "region"))
    if Path(text).suffix.lower() in SUFFIXES:
        if not files:
            raise InputError(f"region {short}: files are not read here; send the GeoJSON itself")
        return Region(Path(text).name, read_area(Path(text)))
    return _shape(text, files) or _named_region(text, files)


def parse_regions(texts: Sequence[str], *, files: bool = True) -> Region:
    """The union of the regions that one or more texts name; as parse_region. Raises InputError for an empty list."""
    if not texts:
        raise InputError(f"no region given; expected {_expected(files)}")
    return functools.reduce(lambda a, b: a | b, (parse_region(text, files=files) for text in texts))


def _shape(text: str, files: bool) -> Region | None:
    """The circle or box of three or four numbers; None for a text that is no list of numbers."""
    try:
        numbers = [float(part) for part in text.lower().removesuffix("km").split(",")]
    except ValueError:
        if not any(letter.isalpha() for letter in text):
            raise InputError(f"region {text[:60]!r} is not understood; expected {_expected(files)}") from None
        return None
    if len(numbers) == 3:
        latitude, longitude, radius_km = numbers
        name = f"within {radius_km:g} km of {latitude:g}, {longitude:g}"
        return Region(name, circle_area(latitude, longitude, radius_km))
    if len(numbers) == 4 and not text.lower().endswith("km"):
        return Region(f"box {text}", box_area(*numbers))
    if len(numbers) == 2:
        raise InputError(f"region {text}: a place needs a radius in km too, as '{text},50'")
    raise InputError(f"region {text[:60]!r} is not understood; expected {_expected(files)}")


def _named_region(text: str, files: bool) -> Region:
    try:
        area = find_area(text)
    except InputError as error:
        if files and _is_file(text):
            raise InputError(
                f"region {text}: expected a file that ends in {', '.join(SUFFIXES)}; convert it"
            ) from error
        raise InputError(f"{error} (a region is {_expected(files)})") from error
    return _region_of(area)


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # too long for a name, or not one at all
        return False


@functools.cache
def _region_of(area: NamedArea) -> Region:
    return Region(area.name, widened(area.outline(), SHORE_KM if area.division is None else MARGIN_KM))


def widened(geometry: MultiPolygon, distance_km: float) -> MultiPolygon:
    """The area with everything within about ``distance_km`` of it, cut at the antimeridian.

    In bands of latitude as planes whose degrees of longitude have one length each: good to a tenth below 70 degrees.
    """
    degrees = math.degrees(distance_km / EARTH_RADIUS_KM)
    _, south, _, north = geometry.bounds
    bands = [geometry]
    for start in np.arange(math.floor(south / _BAND_DEG) * _BAND_DEG, north, _BAND_DEG).tolist():
        part = polygonal(shapely.clip_by_rect(geometry, -180.0, start, 180.0, start + _BAND_DEG))
        across = max(math.cos(math.radians(abs(start + _BAND_DEG / 2))), 0.05)
        plane = scale(part, xfact=across, yfact=1.0, origin=(0.0, 0.0))
        wide = plane.simplify(degrees / 10).buffer(degrees, quad_segs=3)
        bands.append(scale(wide, xfact=1.0 / across, yfact=1.0, origin=(0.0, 0.0)))
    whole = shapely.union_all(bands)
    return cut(whole.intersection(box(-540.0, -90.0, 540.0, 90.0)))


def _prepare(geometry: MultiPolygon) -> None:
    with _LOCK:  # the index is built at the first question, which threads must not ask at the same time
        shapely.prepare(geometry)
        inside = geometry.representative_point()  # a point outside the bounds would not need the index; one makes none
        shapely.intersects_xy(geometry, [inside.x] * 4, [inside.y] * 4)
