"""GeoParquet, read back by pyarrow and shapely, against the standard's text."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import shapely

from earthclip.errors import MissingExtraError
from earthclip.locating.prediction import Prediction
from earthclip.outputs import geoparquet, open_writer
from earthclip.pictures.prepare import Failure
from tests.outputs.answers import FAILURE, bare, full


def read(path: Path, *answers: Prediction | Failure) -> Any:
    parquet = pytest.importorskip("pyarrow.parquet")
    with open_writer("geoparquet", path) as out:
        for answer in answers:
            out.write(answer)
    return parquet.read_table(path)


def test_a_row_for_each_place_and_region(tmp_path: Path) -> None:
    table = read(tmp_path / "a.parquet", full(), FAILURE, bare(None), full(abstained=True))
    assert table.column_names == list(geoparquet.COLUMNS)
    rows = table.to_pylist()
    assert [row["kind"] for row in rows] == [
        *("place", "place", "region", "region", "failure", "place", "place", "none")
    ]
    shapes = shapely.from_wkb([row["geometry"] for row in rows])
    assert [shape and shape.geom_type for shape in shapes][:6] == [*["Point"] * 2, *["MultiPolygon"] * 2, None, "Point"]
    assert (shapes[0].x, shapes[0].y) == (14.9934, 37.751012)
    assert all(part.exterior.is_ccw for part in shapes[3].geoms)
    assert (rows[0]["place"], rows[0]["country_code"], rows[0]["area90_km2"]) == (
        "near Catania, Italy",
        "IT",
        2345680.0,
    )
    assert (rows[3]["mass"], rows[3]["rank"], rows[7]["verdict"]) == (0.9, None, "abstained")


def test_the_standards_metadata(tmp_path: Path) -> None:
    geo = json.loads(read(tmp_path / "a.parquet", full()).schema.metadata[b"geo"])
    assert geo["version"] == "1.1.0" and geo["primary_column"] == "geometry"
    column = geo["columns"]["geometry"]
    assert column["encoding"] == "WKB" and set(column["geometry_types"]) == {"Point", "MultiPolygon"}
    assert "crs" not in column  # OGC:CRS84 by default


def test_rows_go_to_disk_in_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(geoparquet, "_GROUP_ROWS", 8)
    read(tmp_path / "a.parquet", *[full(f"{i}.jpg") for i in range(7)])
    assert parquet.ParquetFile(tmp_path / "a.parquet").num_row_groups == 4
    assert read(tmp_path / "none.parquet").num_rows == 0


def test_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with (
        pytest.raises(MissingExtraError, match=r"pip install 'earthclip\[parquet\]'"),
        open_writer("geoparquet", tmp_path / "a"),
    ):
        pass
    assert list(tmp_path.iterdir()) == []
