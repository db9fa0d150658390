"""Areas by name: continents, countries, and first-level parts of countries such as states, provinces and islands.

No outlines of parts are stored. A part is what of its country is nearer to one of its own towns than to a town of any
other part: right along coasts and on islands, within some kilometres at borders where towns are dense, and within tens
where nobody lives.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import re
import unicodedata

import numpy as np
import shapely
from jaxtyping import Float
from shapely.affinity import translate
from shapely.geometry import MultiPolygon

from earthclip.errors import InputError
from earthclip.geo.countries import CONTINENTS, continent_of, countries, country_outlines
from earthclip.geo.places import division_names, largest_town, towns_and_divisions
from earthclip.geo.shapes import cut, polygonal

_ALIKE = 0.82  # of 1: how alike two spellings are of which one is suggested for the other
_MOST_SUGGESTED = 3
MARGIN_KM = 15.0  # how far a part reaches beyond its rough border: of half of the US states 99.96 % or more is inside
_HIGHEST_DEG = 89.0  # where the plane of Mercator ends
_WORDS_LEFT_OUT = {"the", "of", "and"}


@dataclasses.dataclass(frozen=True)
class NamedArea:
    """One or more countries by their alpha-2 codes, or the part of one that its division's name says."""

    name: str  # for people
    codes: tuple[str, ...]
    division: str | None = None

    def outline(self) -> MultiPolygon:
        """The area in (longitude, latitude), valid and cut at the antimeridian."""
        outlines = country_outlines()
        whole = polygonal(shapely.union_all([outlines[code] for code in self.codes]))
        return whole if self.division is None else _part(whole, self.codes[0], self.division)


def find_area(text: str) -> NamedArea:
    """The continent, country (a name or ISO 3166-1 code) or part of a country that ``text`` names, in this order.

    Case, accents, punctuation, "the", "of" and "and" do not count. "Georgia, US" is the part, "Georgia" the country.
    Raises InputError for an unknown name, with what to write instead, and for one that several countries have a part
    of.
    """
    text = text.strip()[:100]
    words = _plain(text)
    found = _wholes().get(words) or _parts().get(words)
    if not found:
        raise InputError(f"unknown region {text!r}; {_advice(words)}")
    if len(found) > 1:
        named = " or ".join(repr(area.name) for area in found[:_MOST_SUGGESTED])
        raise InputError(f"region {text!r} is a part of {len(found)} countries; write {named}")
    return found[0]


@functools.cache
def _wholes() -> dict[str, list[NamedArea]]:
    """Continents and countries by each of their names, without capitals and the like."""
    found: dict[str, list[NamedArea]] = {}
    for letters, continent in CONTINENTS.items():
        if letters != "AN":  # which is a country's name too
            codes = tuple(code for code in countries() if continent_of(code) == letters)
            found[_plain(continent)] = [NamedArea(continent, codes)]
    for country in countries().values():
        area = NamedArea(country.name, (country.code, *country.parts))
        for name in (country.code, country.alpha3, country.name, *country.also):
            found.setdefault(_plain(name), [area])
    return found


@functools.cache
def _parts() -> dict[str, list[NamedArea]]:
    """Parts of countries by their names, alone and with a name of their country."""
    found: dict[str, list[NamedArea]] = {}
    names_of = {
        code: {_plain(name) for name in (code, country.alpha3, country.name, *country.also)}
        for code, country in countries().items()
    }
    for code, division in division_names():
        area = NamedArea(f"{division}, {countries()[code].name}", (code,), division)
        words = _plain(division)
        for name in (words, *(f"{words} {country}" for country in names_of[code])):
            found.setdefault(name, []).append(area)
    return found


@functools.cache
def _known() -> dict[str, list[NamedArea]]:
    """Names to suggest, those of parts without their country's."""
    return _wholes() | {_plain(area.division or ""): areas for areas in _parts().values() for area in areas}


def _advice(words: str) -> str:
    known = _known()
    asked = set(words.split())
    longer = sorted((name for name in known if asked and asked <= set(name.split())), key=len)[: _MOST_SUGGESTED - 1]
    alike = [name for name in known if _is_swapped(name, words)]
    alike += difflib.get_close_matches(words, known, n=_MOST_SUGGESTED, cutoff=_ALIKE)
    suggested = [area.name for name in longer for area in known[name]]
    if town := largest_town(words):
        code, latitude, longitude = town
        suggested.append(f"'{latitude:.2f},{longitude:.2f},25' (within 25 km of the town in {countries()[code].name})")
    suggested += [area.name for name in alike for area in known[name]]
    if suggested:
        return f"did you mean {' or '.join(list(dict.fromkeys(suggested))[:_MOST_SUGGESTED])}?"
    return "give the English name of a country or of a part of one, or an ISO code"


def _is_swapped(name: str, other: str) -> bool:
    """Whether two neighbouring letters in the other order are all that differs."""
    if len(name) != len(other):
        return False
    differs = [index for index, (one, two) in enumerate(zip(name, other, strict=True)) if one != two]
    return len(differs) == 2 and differs[1] == differs[0] + 1 and sorted(name) == sorted(other)


def _plain(text: str) -> str:
    letters = unicodedata.normalize("NFKD", text.casefold().replace("&", " and "))
    letters = "".join(letter for letter in letters if not unicodedata.combining(letter))
    letters = re.sub(r"[.'\u2019]", "", letters.replace("\u0131", "i"))  # the Turkish i without a dot
    words = re.sub(r"[^\w]+", " ", letters).split()
    words = [word for word in words if word not in _WORDS_LEFT_OUT] or words  # AND is a code, Andorra's
    return " ".join("saint" if word == "st" else word for word in words)


def _part(country: MultiPolygon, code: str, division: str) -> MultiPolygon:
    """What of a country's outline is nearer to a town of the division than to any other town of the country."""
    towns, divisions = towns_and_divisions(code)
    turn = np.radians(towns[:, 1])
    middle = float(
        np.degrees(np.arctan2(np.sin(turn).mean(), np.cos(turn).mean()))
    )  # the edge of the plane lies opposite
    towns = np.stack([(towns[:, 1] - middle + 180.0) % 360.0 - 180.0, towns[:, 0]], axis=1)
    towns, kept = np.unique(towns, axis=0, return_index=True)
    # Mercator's plane has one scale in all directions, so the nearest there is the nearest on the ground. Points beyond
    # its corners leave every place to the same town and give few towns cells too.
    corners = np.array([[x, y] for x in (-2000.0, 2000.0) for y in (-2000.0, 2000.0)])
    points = shapely.multipoints(np.concatenate([_mercator(towns), corners]))
    cells = shapely.get_parts(shapely.voronoi_polygons(points, ordered=True))[: len(towns)]
    world = shapely.box(*_mercator(np.array([[-180.0, -_HIGHEST_DEG], [180.0, _HIGHEST_DEG]])).ravel())
    own = shapely.intersection(shapely.union_all(cells[divisions[kept] == division]), world)
    nearest = translate(shapely.transform(shapely.segmentize(own, 1.0), _from_mercator), xoff=middle)
    return polygonal(cut(nearest).intersection(country))


def _mercator(points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
    return np.stack([points[:, 0], np.degrees(np.arcsinh(np.tan(np.radians(points[:, 1]))))], axis=1)


def _from_mercator(points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
    return np.stack([points[:, 0], np.degrees(np.arctan(np.sinh(np.radians(points[:, 1]))))], axis=1)
