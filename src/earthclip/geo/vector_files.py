"""Areas from files: GeoJSON by itself (RFC 7946); GeoPackage and shapefile through GDAL with the extra `geo`."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from jaxtyping import Float
from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from earthclip.errors import InputError, MissingExtraError
from earthclip.geo.shapes import cut, globe_polygon, polygonal

SUFFIXES = (".geojson", ".json", ".gpkg", ".shp")

_GEOMETRIES = {"Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon", "GeometryCollection"}
_LARGEST_BYTES = 256_000_000  # of GeoJSON: about ten million points
_DEPTH = 20  # of collections within collections
_DENSE = 1000  # pieces of the longest side, in which edges are projected to degrees
_GRID = 40  # points a side, at which an area in degrees is compared with what was projected

_Transform = Callable[[Float[np.ndarray, "n 2"]], Float[np.ndarray, "n 2"]]


def read_area(path: Path) -> MultiPolygon:
    """The polygons of a file together, in longitude and latitude.

    Raises InputError for a file that is missing, too large, damaged, without polygons, or whose coordinates are not
    on the Earth; MissingExtraError for a .gpkg or .shp without the extra ``geo``.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; give the path of a .geojson, .json, .gpkg or .shp file")
    if path.suffix.lower() in (".gpkg", ".shp"):
        return _through_gdal(path)
    if path.stat().st_size > _LARGEST_BYTES:
        raise InputError(f"{path}: larger than {_LARGEST_BYTES // 1_000_000} MB; simplify its outlines first")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as UTF-8 ({error}); save it as GeoJSON again") from error
    return area_of_geojson(text, str(path))


def area_of_geojson(text: str, source: str) -> MultiPolygon:
    """The polygons of a GeoJSON geometry, Feature or FeatureCollection together; heights are dropped.

    ``source`` names the text in messages. Self-crossing rings are repaired: a bow tie becomes two triangles.
    Raises InputError as read_area does.
    """
    try:
        document = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{source}: not valid JSON ({error}); save it as GeoJSON again") from error
    if isinstance(document, dict):
        _check_crs(document.get("crs"), source)
    found: list[str] = []
    polygons = [_polygon(rings, source) for rings in _polygons(document, source, found)]
    if not polygons:
        kinds = f"only {', '.join(sorted(set(found)))}" if found else "nothing"
        raise InputError(f"{source}: expected a Polygon or MultiPolygon, found {kinds}; draw an area")
    return _united(polygons, source)


def _polygons(node: Any, source: str, found: list[str], depth: int = 0) -> Iterator[Any]:
    """The coordinates of every polygon below a GeoJSON object; the names of other geometries go into ``found``."""
    kind = node.get("type") if isinstance(node, dict) else None
    if depth > _DEPTH:
        raise InputError(f"{source}: collections are nested more than {_DEPTH} deep; flatten them")
    if kind in ("FeatureCollection", "GeometryCollection"):
        members = node.get("features" if kind == "FeatureCollection" else "geometries")
        if not isinstance(members, list):
            raise InputError(f"{source}: a {kind} without its list of members; save it as GeoJSON again")
        for member in members:
            yield from _polygons(member, source, found, depth + 1)
    elif kind == "Feature":
        if node.get("geometry") is not None:
            yield from _polygons(node["geometry"], source, found, depth + 1)
    elif kind in ("Polygon", "MultiPolygon"):
        coordinates = node.get("coordinates")
        if not isinstance(coordinates, list):
            raise InputError(f"{source}: a {kind} without coordinates; save it as GeoJSON again")
        if coordinates:
            yield from [coordinates] if kind == "Polygon" else coordinates
    elif kind in _GEOMETRIES:
        found.append(str(kind))
    else:
        raise InputError(f"{source}: expected a GeoJSON object (RFC 7946), found type {str(kind)[:40]!r}")


def _polygon(rings: Any, source: str) -> BaseGeometry:
    if not isinstance(rings, list) or not rings:
        raise InputError(f"{source}: a polygon without rings; save it as GeoJSON again")
    shell, *holes = (_ring(ring, source) for ring in rings)
    return shapely.polygons(shell, holes) if holes else shapely.polygons(shell)


def _ring(ring: Any, source: str) -> Float[np.ndarray, "n 2"]:
    try:
        try:
            points = np.array(ring, dtype=np.float64)
        except ValueError:  # some points with heights, some without
            points = np.array([point[:2] for point in ring], dtype=np.float64)
        if points.ndim != 2 or points.shape[1] < 2 or len(points) < 3:
            raise ValueError(f"shape {list(points.shape)}")
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"{source}: a ring must be a list of three or more [longitude, latitude] ({str(error)[:80]}); save it again"
        ) from error
    points = points[:, :2]
    _check_degrees(points, source)
    if (points[0] != points[-1]).any():
        points = np.concatenate([points, points[:1]])
    steps = np.abs(np.diff(points[:, 0]))
    wide = steps[(steps > 180.0) & (steps < 360.0)]
    if wide.size:
        raise InputError(
            f"{source}: an edge spans {wide[0]:g} degrees of longitude; to cross the antimeridian "
            "write longitudes beyond 180 (190 for -170) or cut there, else add a point halfway"
        )
    return points


def _check_degrees(points: Float[np.ndarray, "n 2"], source: str) -> None:
    longitude, latitude = points.T
    on_earth = (np.abs(latitude) <= 90.0) & (np.abs(longitude) <= 540.0)  # no NaN is
    beyond = np.flatnonzero(~on_earth)
    if not beyond.size:
        return
    x, y = points[beyond[0]].tolist()
    if np.abs(longitude).max() <= 90.0 and np.abs(latitude).max() <= 360.0:
        hint = "latitude and longitude look swapped: GeoJSON has longitude first"
    elif np.abs(points).max() > 1000.0:
        hint = "that looks projected: save it in WGS84 degrees (EPSG:4326)"
    else:
        hint = "give degrees, longitude first"
    raise InputError(f"{source}: [{x:g}, {y:g}] is not on the Earth; {hint}")


def _check_crs(crs: Any, source: str) -> None:
    """GeoJSON of before 2016 may name another system."""
    name = json.dumps(crs).upper() if crs is not None else "CRS84"
    if "CRS84" not in name and not re.search(r"EPSG[:/\d.]*[:/]4326\b", name):
        raise InputError(f"{source}: its coordinates are in {name[:80]}; save it in WGS84 degrees (EPSG:4326)")


def _united(polygons: list[BaseGeometry], source: str) -> MultiPolygon:
    try:
        area = cut(polygonal(shapely.union_all([polygonal(polygon) for polygon in polygons])))
    except shapely.errors.GEOSException as error:
        raise InputError(f"{source}: its polygons cannot be joined ({error}); repair them first") from error
    if area.is_empty or not area.area > 0.0:
        raise InputError(f"{source}: its polygons have no area; draw an area")
    return area


def _through_gdal(path: Path) -> MultiPolygon:
    try:
        import pyogrio
        import pyproj
    except ImportError as error:
        raise MissingExtraError(f"reading {path.name}", "geo", error.name or "pyogrio") from error
    try:
        layers = [str(name) for name in pyogrio.list_layers(path)[:, 0]]
        read = [pyogrio.raw.read(path, layer=layer, columns=[], force_2d=True) for layer in layers]
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, RuntimeError) as error:
        raise InputError(f"{path}: cannot be read ({str(error).splitlines()[0]}); save it again") from error
    areas = []
    for layer, (meta, _, encoded, _) in zip(layers, read, strict=True):
        parts = shapely.get_parts(shapely.from_wkb([item for item in encoded if item is not None]))
        geometries = polygonal(shapely.geometrycollections(parts))
        if geometries.is_empty:
            continue
        if not meta["crs"]:
            raise InputError(f"{path}: layer {layer} has no coordinate system (.prj); save it with one, or as GeoJSON")
        try:
            system = pyproj.CRS.from_user_input(meta["crs"])
            transform = pyproj.Transformer.from_crs(system, "OGC:CRS84", always_xy=True).transform
        except pyproj.exceptions.ProjError as error:
            raise InputError(f"{path}: unknown coordinate system ({error}); save it in WGS84 (EPSG:4326)") from error
        to_degrees = _as_columns(transform)
        back = _as_columns(functools.partial(transform, direction="INVERSE"))
        areas.append(_in_degrees(geometries, to_degrees, back, str(path)))
    if not areas:
        raise InputError(f"{path}: holds no polygons; draw an area")
    return _united(areas, str(path))


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _in_degrees(source: MultiPolygon, to_degrees: _Transform, back: _Transform, name: str) -> MultiPolygon:
    """Projected polygons in longitude and latitude, cut at the antimeridian and closed over a pole that they hold.

    ``back`` is the inverse of ``to_degrees``. Raises InputError for polygons that reach beyond what their projection
    shows, and where a grid of points shows that the result is not the same area.
    """
    points = shapely.get_coordinates(source)
    if np.array_equal(to_degrees(points), points):  # degrees already, which may go beyond 180
        _check_degrees(points, name)
        return source
    west, south, east, north = source.bounds
    piece = max(east - west, north - south) / _DENSE
    source = shapely.segmentize(source, piece)  # since a straight line of one projection is bent in another
    area = shapely.transform(source, to_degrees)
    if not np.isfinite(shapely.get_coordinates(area)).all():
        raise InputError(f"{name}: reaches beyond what its coordinate system shows; save it in WGS84 (EPSG:4326)")
    poles = back(np.array([[0.0, 90.0], [0.0, -90.0]]))
    pairs = zip(shapely.get_parts(source), shapely.get_parts(area), strict=True)
    area = polygonal(shapely.union_all([_unwrapped(*pair, poles) for pair in pairs]))

    width, height = np.array([east - west, north - south]) / 4
    x, y = np.meshgrid(
        np.linspace(west - width, east + width, _GRID), np.linspace(south - height, north + height, _GRID)
    )
    grid = np.stack([x.ravel(), y.ravel()], axis=1)
    grid = grid[shapely.distance(shapely.points(grid), source.boundary) > 2 * piece]
    places = to_degrees(grid)
    finite = np.isfinite(places).all(axis=1)
    grid, places = grid[finite], places[finite]
    shown = np.abs(back(places) - grid).max(axis=1) < piece  # others are no place in the projection
    expected = shapely.intersects_xy(source, *grid[shown].T)
    if (shapely.intersects_xy(area, *places[shown].T) != expected).any():
        raise InputError(f"{name}: its outlines cannot be converted to degrees; save it in WGS84 (EPSG:4326)")
    return area


def _unwrapped(source: Polygon, area: Polygon, poles: Float[np.ndarray, "2 2"]) -> MultiPolygon:
    """A polygon in degrees whose longitudes may jump from 180 to -180; ``poles`` are where they lie in ``source``."""
    rings = [np.asarray(ring.coords) for ring in (area.exterior, *area.interiors)]
    if all(np.abs(np.diff(ring[:, 0])).max() <= 180.0 for ring in rings):
        return polygonal(area)
    areas = []
    for outline, ring in zip((source.exterior, *source.interiors), rings, strict=True):
        inside = [bool(np.isfinite(pole).all() and Polygon(outline).intersects(shapely.Point(pole))) for pole in poles]
        areas.append(globe_polygon(ring, {(True, False): 90.0, (False, True): -90.0}.get((inside[0], inside[1]))))
    return polygonal(areas[0].difference(shapely.union_all(areas[1:])))


def _as_columns(function: Callable[..., Any]) -> _Transform:
    return lambda points: np.stack(function(points[:, 0], points[:, 1]), axis=1)
