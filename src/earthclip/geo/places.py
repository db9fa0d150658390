"""Words for coordinates: "near Puno, Peru", from an embedded gazetteer of 160,000 towns.

Towns are those of GeoNames (https://www.geonames.org, CC BY 4.0) with 1,000 inhabitants or more, and smaller
settlements far from any such; see data/README.md. Loaded on first use.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import threading
import unicodedata
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float, Float32, Int64, Num

from earthclip.geo.countries import STEP_DEG, countries, country_codes, from_planes, read_arrays
from earthclip.geo.nearest import NearestTown
from earthclip.geo.oceans import ocean_names
from earthclip.geo.sphere import check_coordinates

ATTRIBUTION = "place names: GeoNames (geonames.org), CC BY 4.0; country outlines: Natural Earth, public domain"

_CLASSES = (0, 10_000, 100_000, 1_000_000, 4_000_000)  # inhabitants; the nearest town of each class is a candidate
_REACH_KM = 100.0  # how much farther than the nearest town another may lie to be named
_COAST_KM = 25.0  # beyond this from its town a place outside every outline is at sea
_FAR_KM = 1_000.0  # of a land without towns: nothing worth a measure
_DENSITY_PER_KM2 = 3_000.0  # of a town, to guess from its inhabitants how far it reaches
_ARTICLE = re.compile(
    r"^(United|Republic|Democratic|Central African)|"
    r"(Islands|Territory|Territories|Republic|Netherlands|Philippines|Bahamas|Maldives|Gambia|Comoros|Seychelles)$"
)


@dataclasses.dataclass(frozen=True)
class Place:
    """A coordinate in words. ``str()`` of it reads after "taken": "near Puno, Peru".

    ``country``, ``country_code`` and ``admin`` are those of the coordinate, None at sea.
    """

    name: str  # a town near by, by the rule of describe()
    admin: str | None  # the first-level division the town lies in, as "California"
    country: str | None
    country_code: str | None  # ISO 3166-1 alpha-2
    distance_km: float  # to the town's centre
    text: str

    def __str__(self) -> str:
        return self.text

    def to_dict(self) -> dict[str, Any]:
        """The place as plain JSON values; the distance has one decimal."""
        return vars(self) | {"distance_km": None if self.distance_km is None else round(float(self.distance_km), 1)}


def describe(coordinates: Num[np.ndarray, "n 2"]) -> list[Place]:
    """The place of each coordinate in degrees.

    The country is that of the town in which the coordinate lies, since outlines are coarse at borders; else the one
    whose outline holds it; else (within 25 km) the town's. The town is the one of least
    (distance + 2 km) / inhabitants ** 0.25 among the nearest of the country with 0, 10,000, 100,000, 1,000,000 and
    4,000,000 inhabitants or more that are at most 100 km farther than the first: a hamlet only where
    nothing better known is near. Raises InputError for places off the Earth.
    """
    coordinates = check_coordinates(coordinates, "places")
    if not len(coordinates):
        return []
    gazetteer = _gazetteer()
    candidates = gazetteer.candidates(coordinates)
    codes = gazetteer.codes_within_towns(candidates, country_codes(coordinates))
    towns, distances_km = gazetteer.best_towns(coordinates, codes, candidates)
    for row in np.flatnonzero([code is None for code in codes]).tolist():
        if distances_km[row] <= _COAST_KM:
            codes[row] = gazetteer.country_code(int(towns[row]))
    at_sea = [row for row, code in enumerate(codes) if code is None]
    seas = dict(zip(at_sea, ocean_names(coordinates[at_sea]), strict=True))
    found = zip(towns.tolist(), distances_km.tolist(), codes, strict=True)
    return [gazetteer.place(*answer, seas.get(row)) for row, answer in enumerate(found)]


def division_names() -> list[tuple[str, str]]:
    """Country's code and name of every first-level division that has a town, as ("US", "Texas")."""
    return [(code, name) for code, name in _gazetteer().divisions if name is not None]


def towns_and_divisions(code: str) -> tuple[Float[np.ndarray, "t 2"], np.ndarray]:
    """The towns of a country, in degrees, and the name of the division each lies in ("" where it has none)."""
    return _gazetteer().towns_and_divisions(code)


def largest_town(name: str) -> tuple[str, float, float] | None:
    """Country's code, latitude and longitude of the largest town with this name, without accents; None without one."""
    return _gazetteer().largest_town(name)


# The nearest town of each class of size, its distance in km, and its cost: that of least cost names the place.
_Candidates: TypeAlias = tuple[Int64[np.ndarray, "n c"], Float[np.ndarray, "n c"], Float[np.ndarray, "n c"]]


class _Towns:
    """Some of the towns, each class of size indexed on its own."""

    def __init__(self, coordinates: Float[np.ndarray, "t 2"], people: Float32[np.ndarray, " t"]) -> None:
        self._people = people
        classes = [np.flatnonzero(people >= 0.94 * least) for least in _CLASSES]  # sizes are kept to 6 %
        self._classes = [(members, NearestTown(coordinates[members])) for members in classes if members.size]

    def candidates(self, coordinates: Float[np.ndarray, "n 2"]) -> _Candidates:
        """The nearest town of each class, its distance in km, and its cost: that of least cost names the place."""
        found = [(members, index.query(coordinates)) for members, index in self._classes]
        towns = np.stack([members[rows] for members, (rows, _) in found], axis=1)
        distances_km = np.stack([km for _, (_, km) in found], axis=1)
        cost = (distances_km + 2.0) / self._people[towns] ** 0.25
        return towns, distances_km, np.where(distances_km > distances_km[:, :1] + _REACH_KM, np.inf, cost)


class _Gazetteer:
    def __init__(self) -> None:
        arrays = read_arrays("towns.npz")
        degrees = [from_planes(arrays[side]) * STEP_DEG for side in ("latitude", "longitude")]
        self._coordinates = np.stack(degrees, axis=1)
        self._people = 10.0 ** (arrays["size"] / np.float32(20.0))
        self.divisions = [(line[:2], line[2:] or None) for line in arrays["divisions"].tobytes().decode().split("\n")]
        self._division = np.ascontiguousarray(arrays["division"].T).view("<u2").ravel()
        homes, home_of_division = np.unique([code for code, _ in self.divisions], return_inverse=True)
        self._countries = {str(code): number for number, code in enumerate(homes)}
        self._country = home_of_division.astype(np.int16)[self._division]
        self._ambiguous = np.unpackbits(arrays["ambiguous"]).view(bool)  # names that two towns of a country share
        self._names = arrays["names"].tobytes()
        self._ends = np.append(np.flatnonzero(arrays["names"] == ord("\n")), len(arrays["names"])).astype(np.int32)
        self._everywhere = _Towns(self._coordinates, self._people)

    def country_code(self, town: int) -> str:
        return self.divisions[int(self._division[town])][0]

    def towns_and_divisions(self, code: str) -> tuple[Float[np.ndarray, "t 2"], np.ndarray]:
        names = np.array([name or "" for _, name in self.divisions])
        towns = np.flatnonzero(self._country == self._countries[code])
        return self._coordinates[towns], names[self._division[towns]]

    @functools.cached_property
    def _plain_names(self) -> str:
        """Names in small letters without accents, between line feeds."""
        names = unicodedata.normalize("NFKD", self._names.decode().casefold())
        return "\n" + re.sub(r"[\u0300-\u036f]", "", names) + "\n"

    def largest_town(self, name: str) -> tuple[str, float, float] | None:
        lines = self._plain_names
        towns, town, last = [], 0, 0
        start = lines.find(f"\n{name}\n")
        while name and start >= 0:
            town += lines.count("\n", last, start)
            towns.append(town)
            last, start = start, lines.find(f"\n{name}\n", start + 1)
        if not towns:
            return None
        town = max(towns, key=lambda row: self._people[row])
        return self.country_code(town), *self._coordinates[town].tolist()

    def candidates(self, coordinates: Float[np.ndarray, "n 2"]) -> _Candidates:
        return self._everywhere.candidates(coordinates)

    def codes_within_towns(self, candidates: _Candidates, codes: list[str | None]) -> list[str | None]:
        """``codes``, but in a town its own country."""
        towns, distances_km, _ = candidates
        town = towns[:, 0]  # the nearest of any size: Vatican City lies within the reach of Rome
        inside = distances_km[:, 0] <= self._reach_km(town)
        rows = zip(town.tolist(), inside.tolist(), codes, strict=True)
        return [self.country_code(row) if own else code for row, own, code in rows]

    def _reach_km(self, towns: Int64[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
        """How far towns reach from their centres, by a guess from their inhabitants."""
        return np.asarray(np.maximum(1.0, np.sqrt(self._people[towns] / _DENSITY_PER_KM2 / np.pi)))

    def best_towns(
        self, coordinates: Float[np.ndarray, "n 2"], codes: list[str | None], candidates: _Candidates
    ) -> tuple[Int64[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        """Row of the town that names each coordinate, and its distance in km; in the country given, if any."""
        wanted = np.array([self._countries.get(code or "", -1) for code in codes])
        towns, distances_km, costs = candidates
        cost = costs.copy()
        abroad = (wanted[:, None] >= 0) & (self._country[towns] != wanted[:, None])
        cost[abroad] = np.inf
        best = cost.argmin(axis=1)
        rows = np.arange(len(coordinates))
        town, distance_km = towns[rows, best], distances_km[rows, best]
        foreign = np.isinf(cost).all(axis=1)
        for country in np.unique(wanted[foreign]).tolist():
            asked = np.flatnonzero(foreign & (wanted == country))
            members, own = self._towns_of(country)
            towns, distances_km, cost = own.candidates(coordinates[asked])
            best = cost.argmin(axis=1)
            town[asked] = members[towns[np.arange(len(asked)), best]]
            distance_km[asked] = distances_km[np.arange(len(asked)), best]
        return town, distance_km

    def place(self, town: int, distance_km: float, code: str | None, sea: str | None) -> Place:
        home, division = self.divisions[int(self._division[town])]
        name = self._name(town)
        within = [division] if division and self._ambiguous[town] else []
        local = ", ".join(dict.fromkeys([name, *within]))
        address = local if countries()[home].name == name else f"{local}, {countries()[home].name}"
        distance = f"{max(distance_km, 1.0):,.0f} km"
        if sea is not None:
            return Place(name, None, None, None, distance_km, f"in the {sea}, {distance} from {address}")
        country = countries()[code or home].name
        reach_km = float(self._reach_km(np.array(town)))
        if home != code and distance_km > _FAR_KM:
            text = f"in {_with_article(country)}"
        elif home != code:
            text = f"in {_with_article(country)}, {distance} from {address}"
        elif distance_km <= reach_km:
            text = f"in {address}"
        elif distance_km <= max(_COAST_KM, 3 * reach_km):
            text = f"near {address}"
        else:
            text = f"in {_with_article(country)}, {distance} from {local}"
        return Place(name, division if home == code else None, country, code, distance_km, text)

    def _name(self, town: int) -> str:
        start = int(self._ends[town - 1]) + 1 if town else 0
        return self._names[start : int(self._ends[town])].decode()

    @functools.cache  # noqa: B019  the one gazetteer lives as long as the program
    def _towns_of(self, country: int) -> tuple[Int64[np.ndarray, " t"], _Towns]:
        members = np.flatnonzero(self._country == country)
        return members, _Towns(self._coordinates[members], self._people[members])


def _with_article(country: str) -> str:
    return f"the {country}" if _ARTICLE.search(country) else country


_LOCK = threading.Lock()


def _gazetteer() -> _Gazetteer:
    with _LOCK:  # threads of a server may ask first at the same time
        return _load()


@functools.cache
def _load() -> _Gazetteer:
    return _Gazetteer()
