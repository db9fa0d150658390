"""GeoPackage as GDAL reads it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import shapely

from earthclip.errors import MissingExtraError
from earthclip.outputs import check_format, open_writer
from earthclip.outputs.drawing import outline
from earthclip.pictures.prepare import Failure
from tests.locating.posteriors import hill, lattice, predicted

ANSWER = predicted(hill(lattice(200.0), (40.0, -100.0), 500.0), "home/anna/photo.jpg", top_k=3)


def layer(path: Path, name: str) -> list[dict[str, object]]:
    pyogrio = pytest.importorskip("pyogrio")
    meta, _, geometry, columns = pyogrio.raw.read(path, layer=name)
    assert meta["crs"] == "EPSG:4326"
    names = [*meta["fields"].tolist(), "geometry"]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, geometry, strict=True)]


@pytest.mark.parametrize("full_paths", [False, True])
def test_places_and_regions_are_layers(tmp_path: Path, full_paths: bool) -> None:
    path = tmp_path / "out.gpkg"
    with open_writer("geopackage", path, full_paths=full_paths) as out:
        out.write(ANSWER)
        out.write(Failure("home/anna/bad.jpg", "home/anna/bad.jpg: damaged"))
    folder = "home/anna/" if full_paths else ""
    places, regions = layer(path, "places"), layer(path, "regions")
    assert [row["path"] for row in places] == [f"{folder}photo.jpg"] * 3 + [f"{folder}bad.jpg"]
    assert places[3]["geometry"] is None and places[3]["error"] == f"{folder}bad.jpg: damaged"
    assert [row["rank"] for row in places[:3]] == [1, 2, 3]
    assert [row["mass"] for row in regions] == [0.5, 0.9]
    for row, region in zip(regions, ANSWER.credible, strict=True):
        assert row["area_km2"] == pytest.approx(region.area_km2, rel=1e-5)
        expected = outline(region)
        assert expected is not None and shapely.from_wkb(row["geometry"]).equals_exact(expected, 1e-9)
    assert (b"anna" in path.read_bytes()) == full_paths


def test_no_answers_make_two_empty_layers(tmp_path: Path) -> None:
    with open_writer("geopackage", tmp_path / "out.gpkg"):
        pass
    assert layer(tmp_path / "out.gpkg", "places") == layer(tmp_path / "out.gpkg", "regions") == []


def test_without_pyogrio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyogrio", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'earthclip\[geo\]'"):
        check_format("geopackage", tmp_path / "out.gpkg")
