"""Countries and their names, codes and outlines, and the continents they are on."""

from __future__ import annotations

import dataclasses
import functools
import io
import json
import threading
from importlib import resources

import numpy as np
import shapely
from jaxtyping import Float, Int64, Integer, UInt8
from shapely.geometry import MultiPolygon

from earthclip.geo.sphere import wrap_longitude

STEP_DEG = 0.001  # of stored coordinates

_LOCK = threading.Lock()


@dataclasses.dataclass(frozen=True)
class Country:
    """A country or territory of ISO 3166-1 (and Kosovo, XK)."""

    code: str  # alpha-2
    alpha3: str
    name: str
    also: tuple[str, ...]  # other names it goes by
    parts: tuple[str, ...]  # codes of places that belong to it but have a code of their own


@functools.cache
def countries() -> dict[str, Country]:
    """Every country by its alpha-2 code, in the order of the codes."""
    rows = json.loads(resources.files("earthclip.geo").joinpath("data", "countries.json").read_bytes())
    return {
        row["code"]: Country(row["code"], row["alpha3"], row["name"], tuple(row["also"]), tuple(row.get("parts", ())))
        for row in rows
    }


@functools.cache
def country_outlines() -> dict[str, MultiPolygon]:
    """Code -> outline in (longitude, latitude), cut at the antimeridian; parts (see Country) are on their own."""
    polygons, owners = _polygons()
    codes = np.unique(owners)
    return {str(code): MultiPolygon(list(polygons[owners == code])) for code in codes}


def country_codes(coordinates: Float[np.ndarray, "n 2"]) -> list[str | None]:
    """Code of the country whose outline holds each coordinate in degrees; None at sea.

    Vectorised: only the polygons whose bounding box holds a point are looked at, each prepared once.
    """
    polygons, owners = _polygons()
    latitude, longitude = coordinates[:, 0], wrap_longitude(coordinates[:, 1])
    points, boxes = _tree().query(shapely.points(longitude, latitude))
    codes: list[str | None] = [None] * len(coordinates)
    order = np.argsort(boxes, kind="stable")
    for group in np.split(order, np.flatnonzero(np.diff(boxes[order])) + 1):
        if not group.size:
            continue
        polygon, rows = int(boxes[group[0]]), points[group]
        with _LOCK:  # the index of a prepared polygon is built at its first question, which may not be asked twice
            shapely.prepare(polygons[polygon])
            inside = shapely.intersects_xy(polygons[polygon], longitude[rows], latitude[rows])
        for row in rows[inside].tolist():
            codes[row] = codes[row] or str(owners[polygon])
    return codes


def read_arrays(name: str) -> dict[str, np.ndarray]:
    """The arrays of one of the embedded .npz files."""
    packed = resources.files("earthclip.geo").joinpath("data", name).read_bytes()
    with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
        return dict(arrays)


def from_planes(planes: UInt8[np.ndarray, "4 n"]) -> Int64[np.ndarray, " n"]:
    """Whole numbers from the byte planes of their differences."""
    steps = np.ascontiguousarray(planes.T).view("<i4").ravel()
    return np.cumsum(steps, dtype=np.int64)


@functools.cache
def _polygons() -> tuple[np.ndarray, np.ndarray]:
    arrays = read_arrays("outlines.npz")
    points = np.stack([from_planes(arrays["longitude"]), from_planes(arrays["latitude"])], axis=1) * STEP_DEG
    ring_of_point = _owners(arrays["length"])
    rings = shapely.linearrings(np.round(points, 3), indices=ring_of_point)
    polygons = shapely.polygons(rings, indices=_owners(arrays["rings"]))
    return np.asarray(polygons), arrays["code"].astype(str)


@functools.cache
def _tree() -> shapely.STRtree:
    return shapely.STRtree(_polygons()[0])


def _owners(counts: Integer[np.ndarray, " g"]) -> Int64[np.ndarray, " n"]:
    return np.repeat(np.arange(len(counts), dtype=np.int64), counts)


CONTINENTS = {
    "AF": "Africa",
    "AN": "Antarctica",
    "AS": "Asia",
    "EU": "Europe",
    "NA": "North America",
    "OC": "Oceania",
    "SA": "South America",
}
_MEMBERS = {
    "AF": """AO BF BI BJ BW CD CF CG CI CM CV DJ DZ EG EH ER ET GA GH GM GN GQ GW KE KM LR LS LY MA MG ML MR MU MW MZ NA
        NE NG RE RW SC SD SH SL SN SO SS ST SZ TD TG TN TZ UG YT ZA ZM ZW""",
    "AN": "AQ BV GS HM TF",
    "AS": """AE AF AM AZ BD BH BN BT CC CN GE HK ID IL IN IO IQ IR JO JP KG KH KP KR KW KZ LA LB LK MM MN MO MV MY NP OM
        PH PK PS QA SA SG SY TH TJ TM TR TW UZ VN YE""",
    "EU": """AD AL AT AX BA BE BG BY CH CY CZ DE DK EE ES FI FO FR GB GG GI GR HR HU IE IM IS IT JE LI LT LU LV MC MD ME
        MK MT NL NO PL PT RO RS RU SE SI SJ SK SM UA VA XK""",
    "NA": """AG AI AW BB BL BM BQ BS BZ CA CR CU CW DM DO GD GL GP GT HN HT JM KN KY LC MF MQ MS MX NI PA PM PR SV SX TC
        TT US VC VG VI""",
    "OC": "AS AU CK CX FJ FM GU KI MH MP NC NF NR NU NZ PF PG PN PW SB TK TL TO TV UM VU WF WS",
    "SA": "AR BO BR CL CO EC FK GF GY PE PY SR UY VE",
}


def continent_of(country_code: str) -> str | None:
    """The two letters of ``CONTINENTS`` for a country's alpha-2 code; None for an unknown code."""
    return _continents().get(country_code)


@functools.cache
def _continents() -> dict[str, str]:
    return {country: continent for continent, members in _MEMBERS.items() for country in members.split()}
