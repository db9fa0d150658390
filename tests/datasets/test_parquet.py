"""Parquet tables, read strictly by chunks."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from earthclip.datasets import tables
from earthclip.datasets.tables import open_table
from earthclip.errors import InputError, MissingExtraError


def write_parquet(folder: Path, **columns: Any) -> Path:
    path = folder / "places.parquet"
    pq.write_table(pa.table(columns), path)
    return path


def read(path: str | Path) -> np.ndarray:
    with open_table(path) as table:
        return np.concatenate([chunk.coordinates for chunk in table.chunks()])


@pytest.fixture
def short_chunks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(tables, "_ROWS", 3)
    yield


@pytest.mark.parametrize(
    ("latitudes", "longitudes"),
    [
        (pa.array([48.5, -90.0]), pa.array([2.5, 270.0])),
        (pa.array([48.5, -90.0], pa.float32()), pa.array([2.5, -90.0], pa.float16())),
        (pa.array(["48.5", "-90"]), pa.array(["2.5", "270"], pa.large_string())),
        (pa.array(["48.5", "-90"]).dictionary_encode(), pa.array([2.5, 270.0]).dictionary_encode()),
    ],
)
def test_parquet_of_any_numbers(tmp_path: Path, latitudes: pa.Array, longitudes: pa.Array) -> None:
    path = write_parquet(tmp_path, Longitude=longitudes, note=["a", None], Latitude=latitudes)
    with open_table(path) as table:
        assert (table.n_rows, table.columns) == (2, ("Longitude", "note", "Latitude"))
        (chunk,) = table.chunks()
    np.testing.assert_array_equal(chunk.coordinates, [[48.5, 2.5], [-90, -90]])
    assert chunk.cells.column("note").to_pylist() == ["a", None]
    with open_table(path, all_columns=False) as table:
        (chunk,) = table.chunks()
    np.testing.assert_array_equal(chunk.coordinates, [[48.5, 2.5], [-90, -90]])
    assert set(chunk.cells.schema.names) == {"Longitude", "Latitude"}


def test_parquet_in_chunks(tmp_path: Path, short_chunks: None) -> None:
    path = write_parquet(tmp_path, lat=np.arange(10), lon=np.arange(10.0))
    with open_table(path) as table:
        chunks = list(table.chunks())
    assert [len(chunk.coordinates) for chunk in chunks] == [3, 3, 3, 1]
    assert np.concatenate([chunk.coordinates for chunk in chunks]).tolist() == [[i, i] for i in range(10)]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"lat": [1.0, 1.0, 1.0, 1.0, 139.7], "lon": [2.0] * 5}, r"row 4 \(counted from 0\): .*swapped\?"),
        (
            {"lat": [1.0, None], "lon": [2.0, 2.0]},
            r"row 1 \(counted from 0\): lat must be a number of degrees, found nothing",
        ),
        (
            {"lat": ["1", "north"], "lon": [2.0, 2.0]},
            r"row 1 \(counted from 0\): lat must be a number of degrees, found 'north'",
        ),
        ({"lat": [1.0], "lon": [360.0]}, "row 0 .*longitudes must lie"),
        ({"lat": [True], "lon": [1.0]}, "column lat is of type bool; expected numbers of degrees"),
        ({"lat": [1.0], "lon": [[1.0]]}, "column lon is of type list<.*; expected numbers of degrees"),
        ({"x": [1.0], "y": [1.0]}, "in the header 'x, y'"),
    ],
)
def test_bad_parquet_is_named_in_one_line(
    tmp_path: Path, short_chunks: None, columns: dict[str, Any], message: str
) -> None:
    path = write_parquet(tmp_path, **columns)
    with pytest.raises(InputError, match=message) as caught:
        read(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


def test_damaged_parquet(tmp_path: Path) -> None:
    path = write_parquet(tmp_path, lat=np.zeros(1000), lon=np.arange(1000) / 10)
    whole = path.read_bytes()
    for damaged in (b"", b"lat,lon\n1,2\n", whole[:-20], whole[:40] + bytes(200) + whole[240:]):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"places.parquet: not readable as Parquet \(.*\); write the table again"):
            read(path)


def test_parquet_needs_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_parquet(tmp_path, lat=[1.0], lon=[2.0])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"places.parquet needs pyarrow.*pip install 'earthclip\[parquet\]'"):
        read(path)
    (tmp_path / "places.csv").write_text("lat,lon\n1,2\n")
    assert read(tmp_path / "places.csv").tolist() == [[1, 2]]
