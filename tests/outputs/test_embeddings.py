from __future__ import annotations

import csv
import datetime
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from earthclip.datasets import tables
from earthclip.datasets.tables import open_table
from earthclip.errors import InputError, MissingExtraError, OutputError
from earthclip.outputs.embeddings import check_features_path, keeps_columns, open_features

ROWS = [
    ["007", "48.86", "2.35", 'a, "b"'],
    ["x\r\ny", " -17.5", "359.5", ""],
    ["\r", "0", "-180", "é"],
    ["4", "1e1", "4", "z"],
]


@pytest.fixture(autouse=True)
def short_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_ROWS", 3)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([["id", "lat", "lon", "note"], *ROWS])
    path = tmp_path / "places.csv"
    path.write_bytes(text.getvalue().encode())
    return path


@pytest.fixture
def arrow(tmp_path: Path) -> tuple[Path, pa.Table]:
    frame = pd.DataFrame({"lat": [1.5, 2.5, 3.5, 4.5], "lon": np.float32([0.1, 1, 2, 3]), "id": list("abcd")})
    stored = pa.Table.from_pandas(frame)
    noon = datetime.datetime(2020, 1, 1, 12, tzinfo=datetime.UTC)
    stored = stored.append_column("when", pa.array([noon, None, noon, noon], pa.timestamp("ns", "UTC")))
    stored = stored.append_column("blob", pa.array([b"\x00\xff", b"", None, b"a"]))
    stored = stored.append_column("tags", pa.array([["a"], [], None, ["b", "c"]]))
    stored = stored.append_column("kind", pa.array(["u", "v", "u", "u"]).dictionary_encode())
    pq.write_table(stored, tmp_path / "places.parquet")
    return tmp_path / "places.parquet", pq.read_table(tmp_path / "places.parquet")


def write(source: Path, target: Path, width: int, **options: Any) -> np.ndarray:
    """Features that tell row and column, written chunk by chunk; returns them."""
    written = []
    with (
        open_table(source, all_columns=keeps_columns(target)) as rows,
        open_features(target, rows, width, **options) as writer,
    ):
        for chunk in rows.chunks():
            first = sum(map(len, written))
            index = np.arange(first, first + len(chunk.coordinates))
            written.append(((index[:, None] - np.arange(width) / 7) * np.float32(1 / 3)).astype(np.float32))
            writer.write(chunk.cells, written[-1])
    return np.concatenate(written)


@pytest.mark.parametrize("width", [1, 8, 512])
def test_npy(table: Path, tmp_path: Path, width: int) -> None:
    target = tmp_path / "features.NPY"
    expected = write(table, target, width)
    found = np.load(target)
    assert found.dtype == np.float32 and found.shape == (4, width) and found.flags.c_contiguous
    np.testing.assert_array_equal(found, expected)
    assert np.load(target, mmap_mode="r")[3, width - 1] == expected[3, width - 1]
    np.save(tmp_path / "numpy.npy", expected)
    assert target.read_bytes() == (tmp_path / "numpy.npy").read_bytes()


def test_npy_header_has_room_for_any_number_of_rows(tmp_path: Path) -> None:
    lengths = set()
    for rows in (0, 1, 10**7, 10**15):
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (rows, 512)})
        lengths.add(len(header.getvalue()))
    assert len(lengths) == 1


def test_csv_keeps_the_table_and_every_bit(table: Path, tmp_path: Path) -> None:
    target = tmp_path / "features.csv"
    expected = write(table, target, 2)
    with target.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file, strict=True)
    assert header == ["id", "lat", "lon", "note", "feature_000", "feature_001"]
    assert [row[:4] for row in rows] == ROWS
    np.testing.assert_array_equal(np.array([row[4:] for row in rows], np.float32), expected)


def test_csv_is_input_again(table: Path, tmp_path: Path) -> None:
    target = tmp_path / "features.csv"
    write(table, target, 2)
    with open_table(target) as again:
        found = np.concatenate([chunk.coordinates for chunk in again.chunks()])
    assert found.tolist() == [[48.86, 2.35], [-17.5, -0.5], [0, -180], [10, 4]]


def test_parquet_from_csv(table: Path, tmp_path: Path) -> None:
    target = tmp_path / "features.parquet"
    expected = write(table, target, 3)
    found = pq.read_table(target)
    assert found.schema.names == ["id", "lat", "lon", "note", "feature_000", "feature_001", "feature_002"]
    assert [str(kind) for kind in found.schema.types] == ["string", "double", "double", "string", *["float"] * 3]
    assert found["id"].to_pylist() == [row[0] for row in ROWS] and found["note"][1].as_py() == ""
    assert found["lat"].to_pylist() == [48.86, -17.5, 0, 10] and found["lon"].to_pylist() == [2.35, 359.5, -180, 4]
    np.testing.assert_array_equal(np.stack([found[f"feature_00{i}"] for i in range(3)], axis=1), expected)


def test_parquet_from_parquet(arrow: tuple[Path, pa.Table], tmp_path: Path) -> None:
    source, stored = arrow
    target = tmp_path / "features.parquet"
    expected = write(source, target, 2)
    found = pq.read_table(target)
    assert found.select(stored.schema.names).equals(stored)
    np.testing.assert_array_equal(np.stack([found["feature_000"], found["feature_001"]], axis=1), expected)
    frame = pd.read_parquet(target)
    assert list(frame.columns) == [*stored.schema.names, "feature_000", "feature_001"]
    assert pq.ParquetFile(target).metadata.num_row_groups == 2


def test_csv_from_parquet(arrow: tuple[Path, pa.Table], tmp_path: Path) -> None:
    target = tmp_path / "features.csv"
    write(arrow[0], target, 1)
    with target.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["lon"] for row in rows] == ["0.1", "1", "2", "3"]  # float32 as it is written, not as float64 sees it
    assert [row["id"] for row in rows] == list("abcd")
    assert rows[0]["when"].startswith("2020-01-01 12:00:00") and rows[1]["when"] == ""
    assert [row["blob"] for row in rows] == ["00ff", "", "", "61"]
    assert [row["tags"] for row in rows] == ["['a']", "[]", "", "['b', 'c']"]
    assert [row["kind"] for row in rows] == list("uvuu")


@pytest.mark.parametrize("suffix", [".npy", ".csv", ".parquet"])
def test_a_fault_leaves_nothing_behind(tmp_path: Path, suffix: str) -> None:
    source = tmp_path / "places.csv"
    source.write_text("lat,lon\n" + "1,2\n" * 5 + "x,2\n")
    target = tmp_path / f"features{suffix}"
    with pytest.raises(InputError, match="line 7"):
        write(source, target, 4)
    assert [path.name for path in tmp_path.iterdir()] == ["places.csv"]
    target.write_text("old")
    with pytest.raises(InputError, match="line 7"):
        write(source, target, 4, overwrite=True)
    assert target.read_text() == "old"


@pytest.mark.parametrize("suffix", [".npy", ".csv", ".parquet"])
def test_existing_files_are_kept_unless_told(table: Path, tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"features{suffix}"
    target.write_text("old")
    with pytest.raises(OutputError, match=r"already exists; choose another name, or add --force"):
        write(table, target, 4)
    assert target.read_text() == "old"
    write(table, target, 4, overwrite=True)
    assert target.read_bytes() != b"old"


def test_the_table_itself_may_be_replaced(table: Path) -> None:
    write(table, table, 1, overwrite=True)
    assert table.read_bytes().startswith(b"id,lat,lon,note,feature_000\n")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("features.txt", "expected a name that ends in .npy, .csv, .parquet; the suffix sets the format"),
        ("features", "expected a name that ends in"),
        ("folder.npy", "expected a file to write, found a folder"),
        ("none/features.npy", "no such folder"),
    ],
)
def test_where_nothing_can_be_written(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "folder.npy").mkdir()
    with pytest.raises(OutputError, match=message) as caught:
        check_features_path(tmp_path / name, overwrite=True)
    assert str(caught.value).startswith(str(tmp_path / name))


def test_columns_that_would_be_taken_twice(tmp_path: Path) -> None:
    source = tmp_path / "places.csv"
    source.write_text("lat,lon,feature_001,a,a\n1,2,3,4,5\n")
    for suffix in (".csv", ".parquet"):
        with pytest.raises(OutputError, match="already has a column feature_001; remove or rename it"):
            write(source, tmp_path / f"features{suffix}", 4)
    with pytest.raises(OutputError, match="column 'a' appears twice; Parquet needs different names"):
        write(source, tmp_path / "features.parquet", 1)
    write(source, tmp_path / "features.npy", 4)
    write(source, tmp_path / "features.csv", 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["features.csv", "features.npy", "places.csv"]


def test_parquet_needs_its_extra(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"writing Parquet needs pyarrow.*'earthclip\[parquet\]'"):
        check_features_path(tmp_path / "features.parquet")
    for suffix in (".npy", ".csv"):
        write(table, tmp_path / f"features{suffix}", 4)
