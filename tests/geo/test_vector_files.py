from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shapely.geometry import MultiPolygon, Point, Polygon, box, mapping
from shapely.geometry.base import BaseGeometry

from earthclip.errors import InputError, MissingExtraError
from earthclip.geo.regions import parse_region
from earthclip.geo.sphere import EARTH_RADIUS_KM, great_circle_km
from earthclip.models.trial import spread


def on_the_plate(geometry: MultiPolygon) -> bool:
    west, south, east, north = geometry.bounds
    return bool(geometry.is_valid and west >= -180 and east <= 180 and south >= -90 and north <= 90)


SQUARE = [[0, 0], [2, 0], [2, 2], [0, 2], [0, 0]]


def as_polygon(ring: object) -> dict[str, object]:
    return {"type": "Polygon", "coordinates": [ring]}


def feature(geometry: object) -> dict[str, object]:
    return {"type": "Feature", "properties": {}, "geometry": geometry}


@pytest.mark.parametrize(
    ("document", "area"),
    [
        (as_polygon(SQUARE), 4.0),
        (as_polygon(SQUARE[:-1]), 4.0),
        (as_polygon([[x, y, 100.0] for x, y in SQUARE]), 4.0),
        (as_polygon([[x, y, 9.0][: 2 + x // 2] for x, y in SQUARE]), 4.0),
        (as_polygon(SQUARE[::-1]), 4.0),
        ({"type": "Polygon", "coordinates": [SQUARE, [[0.5, 0.5], [1, 0.5], [1, 1], [0.5, 1], [0.5, 0.5]]]}, 3.75),
        ({"type": "MultiPolygon", "coordinates": [[SQUARE], [[[x + 1, y] for x, y in SQUARE]]]}, 6.0),
        (feature(as_polygon(SQUARE)), 4.0),
        ({"type": "FeatureCollection", "features": [feature(None), feature(as_polygon(SQUARE))]}, 4.0),
        (
            {
                "type": "GeometryCollection",
                "geometries": [{"type": "Point", "coordinates": [9, 9]}, as_polygon(SQUARE)],
            },
            4,
        ),
        (as_polygon([[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]), 2.0),  # a bow tie: its two triangles
        (as_polygon([[x + 179, y] for x, y in SQUARE]), 4.0),  # beyond 180
        (as_polygon([[-180, 80], [180, 80], [180, 90], [-180, 90], [-180, 80]]), 3600.0),
        ({"crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}, **as_polygon(SQUARE)}, 4.0),
        ({"crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::4326"}}, **as_polygon(SQUARE)}, 4.0),
    ],
)
def test_geojson_is_read_whatever_holds_the_polygons(tmp_path: Path, document: object, area: float) -> None:
    path = tmp_path / "area.geojson"
    path.write_text(json.dumps(document), encoding="utf-8-sig")
    region = parse_region(str(path))
    assert region.name == "area.geojson"
    assert on_the_plate(region.geometry)
    assert region.geometry.area == pytest.approx(area)
    assert parse_region(json.dumps(document)).geometry.equals(region.geometry)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "expected a GeoJSON object"),
        ("{}", "expected a GeoJSON object"),
        ('{"type": "Topology"}', "'Topology'"),
        ('{"type": "FeatureCollection"}', "without its list"),
        ('{"type": "FeatureCollection", "features": []}', "found nothing"),
        ('{"type": "Point", "coordinates": [1, 2]}', "found only Point"),
        ('{"type": "Polygon"}', "without coordinates"),
        ('{"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}', "three or more"),
        ('{"type": "Polygon", "coordinates": [[["a", 0], [1, 1], [0, 1]]]}', "three or more"),
        ('{"type": "Polygon", "coordinates": [[[NaN, 0], [1, 1], [0, 1]]]}', "NaN is not a JSON number"),
        ('{"type": "Polygon", "coordinates": [[[1e999, 0], [1, 1], [0, 1]]]}', "not on the Earth"),
        ('{"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [2, 2], [0, 0]]]}', "have no area"),
        ('{"type": "Polygon", "coordinates": [[[35, 139], [36, 139], [36, 140], [35, 139]]]}', "swapped"),
        ('{"type": "Polygon", "coordinates": [[[5e5, 6e6], [6e5, 6e6], [6e5, 7e6], [5e5, 6e6]]]}', "projected"),
        ('{"type": "Polygon", "coordinates": [[[170, 0], [-170, 0], [-170, 9], [170, 9]]]}', "cross the antimeridian"),
        ('{"crs": {"properties": {"name": "urn:ogc:def:crs:EPSG::3857"}}, "type": "Polygon"}', "EPSG::3857"),
        ('{"a":' * 5000 + "1" + "}" * 5000, "GeoJSON|JSON"),
        ('{"type": "GeometryCollection", "geometries": [' * 30 + "]}" * 30, "deep"),
    ],
)
def test_geojson_that_is_no_area_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "area.json"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        parse_region(str(path))
    assert "area.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_regions_say_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = tmp_path / "area.txt"
    text.write_text("x")
    with pytest.raises(InputError, match=r"expected a file that ends in \.geojson, \.json, \.gpkg, \.shp"):
        parse_region(str(text))
    binary = tmp_path / "area.geojson"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="UTF-8"):
        parse_region(str(binary))
    with pytest.raises(InputError, match="files are not read here"):
        parse_region(str(binary), files=False)
    monkeypatch.setattr("earthclip.geo.vector_files._LARGEST_BYTES", 2)
    with pytest.raises(InputError, match="larger than"):
        parse_region(str(binary))


def test_a_country_stays_one_beside_a_file_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("Chad").write_text("not a region")
    assert parse_region("Chad").name == "Chad"


def test_two_hundred_thousand_vertices_are_no_trouble(tmp_path: Path) -> None:
    turn = np.linspace(0.0, 2 * np.pi, 200_000, endpoint=False)
    ring = np.stack([(10 + np.sin(50 * turn)) * np.cos(turn), (10 + np.sin(50 * turn)) * np.sin(turn)], axis=1)
    path = tmp_path / "star.geojson"
    path.write_text(json.dumps(as_polygon(ring.tolist())))
    assert parse_region(str(path)).geometry.area == pytest.approx(np.pi * 100.5, rel=1e-3)


@pytest.mark.parametrize("suffix", ["gpkg", "shp"])
def test_geopackages_and_shapefiles_are_brought_to_degrees(tmp_path: Path, suffix: str) -> None:
    pyogrio, pyproj = pytest.importorskip("pyogrio"), pytest.importorskip("pyproj")
    degrees = shapely.segmentize(box(9.0, 59.0, 12.0, 61.0), 0.01)
    to_utm = pyproj.Transformer.from_crs("OGC:CRS84", "EPSG:32632", always_xy=True).transform
    projected = shapely.transform(degrees, lambda p: np.stack(to_utm(p[:, 0], p[:, 1]), axis=1))
    path = tmp_path / f"area.{suffix}"
    for crs, shape in (("EPSG:32632", projected), ("EPSG:4326", degrees)):
        wkb = np.array([shapely.to_wkb(shape)], dtype=object)
        pyogrio.raw.write(path, wkb, [np.array([1])], ["id"], geometry_type="Polygon", crs=crs)
        region = parse_region(str(path))
        assert region.geometry.symmetric_difference(degrees).area < 1e-4
        assert region.contains(np.array([[60.0, 10.0], [60.0, 13.0]])).tolist() == [True, False]


def written(path: Path, shape: BaseGeometry, crs: str) -> Path:
    wkb = np.array([shapely.to_wkb(shape)], dtype=object)
    pyogrio = pytest.importorskip("pyogrio")
    pyogrio.raw.write(path, wkb, [np.array([1])], ["id"], geometry_type=shape.geom_type, crs=crs)
    return path


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(-90, 90), st.floats(-180, 180), st.floats(200, 9_000))
def test_a_projected_circle_is_the_same_across_the_antimeridian_and_over_a_pole(
    tmp_path: Path, latitude: float, longitude: float, radius_km: float
) -> None:
    crs = f"+proj=aeqd +R={1000 * EARTH_RADIUS_KM} +lat_0={latitude} +lon_0={longitude}"
    path = written(tmp_path / "circle.gpkg", Point(0, 0).buffer(1000 * radius_km, quad_segs=90), crs)
    try:
        region = parse_region(str(path))
    except InputError as error:
        # A pole on the very edge may be refused.
        to_pole_km = np.radians(90 - abs(latitude)) * EARTH_RADIUS_KM
        assert "cannot be converted to degrees" in str(error) and abs(to_pole_km - radius_km) < radius_km / 100
        return
    finally:
        path.unlink()
    places = spread(2000)
    away_km = great_circle_km(places, np.array([latitude, longitude]))
    clear = np.abs(away_km - radius_km) > radius_km / 200
    assert (region.contains(places) == (away_km < radius_km))[clear].all()


@pytest.mark.parametrize(
    ("shape", "crs", "inside", "outside"),
    [
        (box(19e6, -1e6, 21e6, 1e6), "EPSG:3857", [[0, 180], [5, -173], [-5, 171]], [[0, 0], [0, 170], [0, -171]]),
        (Point(0, 0).buffer(3e6) - Point(0, 0).buffer(1e6), "EPSG:3031", [[-75, 180], [-70, 0]], [[-85, 3], [0, 0]]),
        (box(170, -20, 190, -10), "EPSG:4267", [[-15, 175], [-15, -175]], [[-15, 0], [-15, 165]]),
        (box(170, -20, 190, -10), "EPSG:4326", [[-15, 175], [-15, -175]], [[-15, 0], [-15, 165]]),
        (box(-9e6, -4e6, 9e6, 4e6), "+proj=moll +lon_0=150", [[0, 150], [0, -150]], [[0, 0], [60, 150]]),
    ],
)
def test_projected_areas_that_wrap(
    tmp_path: Path, shape: BaseGeometry, crs: str, inside: list[list[float]], outside: list[list[float]]
) -> None:
    region = parse_region(str(written(tmp_path / "area.gpkg", shape, crs)))
    assert on_the_plate(region.geometry)
    assert region.contains(np.array(inside)).all() and not region.contains(np.array(outside)).any()


def test_a_square_that_begins_at_the_antimeridian_in_the_grid_of_fiji(tmp_path: Path) -> None:
    corners = [
        (2654931.548, 3655735.609),
        (2673237.496, 4211749.095),
        (2134410.625, 4220900.592),
        (2130781.063, 3667498.78),
    ]
    region = parse_region(str(written(tmp_path / "fiji.gpkg", Polygon(corners), "EPSG:3460")))
    # Lines that are straight in the grid bend a little, beyond the antimeridian too: 180 W to 175 W, 20 S to 15 S.
    assert region.geometry.area == pytest.approx(25.0, abs=0.01)
    assert region.contains(np.array([[-17.0, -179.9], [-17.0, -175.1], [-17.0, 0.0]])).tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("shape", "crs", "fault"),
    [
        (Point(0, 0).buffer(1.9e7), "+proj=aeqd +lat_0=10 +lon_0=20", "its outlines cannot be converted to degrees"),
        (Point(0, 0).buffer(9e6), "+proj=ortho +lat_0=60", "reaches beyond what its coordinate system shows"),
    ],
)
def test_projected_areas_that_degrees_cannot_hold_are_refused(
    tmp_path: Path, shape: BaseGeometry, crs: str, fault: str
) -> None:
    with pytest.raises(InputError, match=rf"area\.gpkg: {fault}; save it in WGS84"):
        parse_region(str(written(tmp_path / "area.gpkg", shape, crs)))


def test_a_shapefile_without_a_coordinate_system_or_damaged_is_refused(tmp_path: Path) -> None:
    pyogrio = pytest.importorskip("pyogrio")
    path = tmp_path / "area.shp"
    wkb = np.array([shapely.to_wkb(box(9, 59, 12, 61))], dtype=object)
    pyogrio.raw.write(path, wkb, [np.array([1])], ["id"], geometry_type="Polygon", crs="EPSG:4326")
    path.with_suffix(".prj").unlink()
    with pytest.raises(InputError, match="no coordinate system"):
        parse_region(str(path))
    path.write_bytes(b"nonsense")
    with pytest.raises(InputError, match="cannot be read"):
        parse_region(str(path))
    with pytest.raises(InputError, match="no such file"):
        parse_region(str(tmp_path / "none.gpkg"))


def test_without_the_extra_a_geopackage_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyogrio", None)
    path = tmp_path / "area.gpkg"
    path.write_bytes(b"")
    with pytest.raises(MissingExtraError, match=r"earthclip\[geo\]"):
        parse_region(str(path))


def test_a_region_comes_back_from_its_own_geojson() -> None:
    region = parse_region("Fiji")
    again = parse_region(json.dumps(mapping(region.geometry)))
    assert again.geometry.symmetric_difference(region.geometry).area < 1e-9
